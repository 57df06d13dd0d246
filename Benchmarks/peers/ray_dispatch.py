"""`comd bench dispatch` with Ray: tasks that do nothing, handed to worker processes of one machine.

Ray keeps its queue and the results in memory; comd has each result on the disk before it counts.
"""

import measuring
import ray


def main():
    parser = measuring.options(__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=8, help="worker processes")
    chosen = parser.parse_args()
    ray.init(
        num_cpus=chosen.workers, include_dashboard=False, log_to_driver=False, logging_level="error"
    )

    @ray.remote
    def nothing():
        return None

    def work():
        ray.get([nothing.remote() for _ in range(chosen.jobs)])

    measuring.measure(
        "dispatch", "jobs/s", chosen.jobs, chosen, f"Ray {ray.__version__}, not durable", work
    )
    ray.shutdown()


main()
