"""`comd bench allreduce` with gloo: torch.distributed over loopback, not encrypted.

`value` is in sums a second, so that more is better; `milliseconds` is the median of a sum.
"""

import os
import statistics
import time

import measuring
import torch
import torch.distributed as distributed
import torch.multiprocessing as processes

WARM_UPS = 3


def member(rank, chosen, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    torch.set_num_threads(max(1, chosen.threads // chosen.workers))
    distributed.init_process_group("gloo", rank=rank, world_size=chosen.workers)
    places = torch.arange(chosen.bytes // 4)
    own = ((places * 31 + rank * 17) % 127).float()
    expected = sum(((places * 31 + other * 17) % 127).float() for other in range(chosen.workers))
    vector = torch.empty_like(own)
    taken = []
    for turn in range(WARM_UPS + chosen.runs):
        vector.copy_(own)
        distributed.barrier()
        start = time.perf_counter()
        distributed.all_reduce(vector)
        if turn >= WARM_UPS:
            taken.append(time.perf_counter() - start)
        assert torch.equal(vector, expected), "the sum is wrong"
    results.put(taken)
    distributed.destroy_process_group()


def main():
    parser = measuring.options(__doc__)
    parser.add_argument("--bytes", type=int, default=20 << 20, help="of the vector")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--port", type=int, default=29_533)
    chosen = parser.parse_args()
    context = processes.get_context("spawn")
    results = context.SimpleQueue()
    crew = [
        context.Process(target=member, args=(rank, chosen, chosen.port, results))
        for rank in range(chosen.workers)
    ]
    for process in crew:
        process.start()
    taken = [results.get() for _ in crew]
    for process in crew:
        process.join()
    # A sum takes as long as its slowest member.
    seconds = [max(turn) for turn in zip(*taken)]
    measuring.tell(
        "allreduce", "sums/s", [1 / value for value in seconds], chosen,
        f"gloo of PyTorch {torch.__version__}, not encrypted",
        milliseconds=1000 * statistics.median(seconds),
    )  # fmt: skip


if __name__ == "__main__":
    main()
