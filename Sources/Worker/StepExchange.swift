import Domain
import Kernels
import Logging
import Protocol
import Scheduling
import Transport

/// One member's part in the steps of a training, on the mesh's thread: what comes is added where it
/// lies, while another thread computes. `MemberMachine` decides; this moves the numbers.
actor StepExchange {
  /// Elements of a cell at most: small enough to stay in a core's cache from the socket to the sum.
  static let cellMax = 1 << 17
  /// Messages of steps that are not open here yet; at the limit one is dropped, and its step is
  /// then fenced by the coordinator's patience.
  static let earlyMax = 4096
  /// What has not come is asked for again when nothing at all has come for so long: a slow line
  /// brings it still.
  static let patience = Duration.seconds(2)

  private struct Early {
    var cell: VectorCell
    var payload: Payload
    var peer: String
  }
  /// What a vote says of a cell.
  private struct Mark {
    var sumOfSquares: Double
    var check: UInt64
  }

  nonisolated let mesh: Mesh
  nonisolated var unownedExecutor: UnownedSerialExecutor { mesh.asUnownedSerialExecutor() }
  private let me: WorkerID
  private let fence: EpochFence
  private let compute: Compute
  /// Of sums alone: a state is neither loaded nor updated.
  private let isBare: Bool
  private let tell: @Sendable (ExchangeEvent) -> Void
  private let log: Logger

  private var training: TrainingID?
  private var member: MemberMachine<Chunk>?
  /// (N): shared with the model that computes.
  private var weights = Floats(zeros: 0)
  private var moments: [Int: Moments] = [:]
  private var snapshot: StateSnapshot?
  private var marks: [Mark?] = []
  private var early: [Early] = []
  private var hasHeard = false
  private var said: TrainingProgress?
  private var saidLacking: String?

  /// - Parameter tell: called on the mesh's thread.
  init(
    me: WorkerID, mesh: Mesh, fence: EpochFence, isBare: Bool = false, log: Logger,
    tell: @escaping @Sendable (ExchangeEvent) -> Void
  ) throws {
    self.me = me
    self.mesh = mesh
    self.fence = fence
    self.isBare = isBare
    self.tell = tell
    self.log = log
    // Sums of a cell are short work: a pool of threads would cost more than it gives.
    compute = try Compute(threads: 1)
  }

  /// Begins to take part.
  nonisolated func start() {
    mesh.start { message in self.assumeIsolated { $0.received(message) } }
  }

  /// Asks again for what does not come, until cancelled.
  func watch() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: Self.patience)
      if !hasHeard {
        if let lacking = member?.lacking, lacking != saidLacking {
          log.info("\(lacking)")
          saidLacking = lacking
        }
        decide { $0.askAgain() }
      }
      hasHeard = false
    }
  }

  // MARK: What the computing thread says

  /// Takes part in a training from now on, with these weights after `step` steps and no moments.
  func begin(
    _ training: TrainingID, _ weights: Floats, lineage: UInt64, wire: WirePrecision, step: Int
  ) {
    let (mesh, compute) = (mesh, compute)
    self.training = training
    self.weights = weights
    (moments, snapshot) = ([:], nil)
    mesh.dropUnsent()
    let grid = VectorGrid(
      count: weights.count, segments: segmentCount(of: weights.count), cellMax: Self.cellMax)
    marks = Array(repeating: nil, count: grid.cells.count)
    member = MemberMachine(grid: grid, lineage: lineage, wire: wire, step: step) {
      wire.sum($0, $1, on: compute) { mesh.room(bytes: $0) }
    }
    sayProgress()
  }

  /// No training takes part here any more.
  func end() {
    training = nil
    member = nil
    weights = Floats(zeros: 0)
    (moments, snapshot) = ([:], nil)
    early = []
    said = nil
    mesh.dropUnsent()
  }

  var progress: TrainingProgress? { member?.progress }
  var grid: VectorGrid? { member?.grid }
  var plan: StepPlan? { member?.plan }
  func sum(of cell: Int) -> Floats? { member?.sum(of: cell)?.values }

  /// Opens a step. The one before it has been committed here.
  func open(_ plan: StepPlan) throws {
    guard training == plan.training, let member else { return }
    if member.step != plan.step { marks = Array(repeating: nil, count: marks.count) }
    mesh.dropUnsent { $0 == .sum }
    let me = me
    try mesh.connect(
      to: plan.members.filter { $0.worker != me }.map { other in
        MeshPeer(name: other.worker.name, endpoint: other.endpoint, publicKey: other.publicKey)
      })
    decide { $0.open(plan, me: me) }
    sayProgress()
    let waiting = early
    early = waiting.filter { message in
      let cell = message.cell
      return cell.training == plan.training
        ? cell.epoch > plan.epoch : plan.training < cell.training
    }
    for message in waiting where message.cell.epoch == plan.epoch {
      take(message.cell, message.payload, from: message.peer)
    }
  }

  /// Takes in a sum that this member computed, or some cells of it; `ranks` tells about the ranks
  /// below `node`. What is taken in of `sum` is read until the step is over.
  func computed(
    _ node: TreeNode, _ sum: Floats, ranks: [RankStatistics], cells: [Int]? = nil, epoch: UInt64
  ) {
    guard let member, member.plan?.epoch == epoch else { return }
    let grid = member.grid
    decide { member in
      member.computed(node, ranks: ranks, cells: cells) {
        Chunk(values: sum[grid.cells[$0]], isScratch: false)
      }
    }
  }

  /// The step is durable.
  /// - Returns: what it changes here; when that is done, `updated` and `settled` are to be called.
  func commit(step: Int) -> [CellUpdate] {
    guard let cells = member?.commit(step: step), let member else { return [] }
    preserve(snapshot?.left.sorted() ?? [])
    mesh.dropUnsent()
    return cells.compactMap { cell in
      guard let sum = member.sum(of: cell) else { return nil }
      return CellUpdate(
        cell: cell, range: member.grid.cells[cell], gradient: sum.values,
        moments: kept(cell, member))
    }
  }

  /// - Parameter changes: by cell, as `TrainingState.apply` gives them.
  func updated(_ cells: [Int], changes: [Int: Floats]) {
    let changes = changes.mapValues { Chunk(values: $0, isScratch: false) }
    decide { $0.updated(cells, changes: changes) }
  }

  func settled() {
    marks = Array(repeating: nil, count: marks.count)
    decide { $0.settled() }
    sayProgress()
  }

  /// The moments of a segment are those of the base.
  func loaded(segment: Int, _ loaded: Moments, epoch: UInt64) {
    guard let member, member.plan?.epoch == epoch else { return }
    preserve([segment])
    moments[segment] = loaded
    decide { $0.loaded(segment: segment) }
    sayProgress()
  }

  /// A checkpoint will take these segments as they are now.
  func keep(_ segments: [Int]) {
    guard let training, let member else { return }
    snapshot = StateSnapshot(training, step: member.step, segments)
  }

  /// A segment as it was after `step` steps; nil when that checkpoint has been given up.
  func copy(segment: Int, of training: TrainingID, step: Int) throws -> SegmentCopy? {
    try snapshot?.take(segment, of: training, step: step) { try copy(segment: $0) }
  }

  /// About to change.
  private func preserve(_ segments: some Sequence<Int>) {
    do {
      for segment in segments { try snapshot?.preserve(segment) { try copy(segment: $0) } }
    } catch {
      log.error("a checkpoint is given up: \(error)")
      snapshot = nil  // What is left of it would be another step's.
    }
  }

  private func copy(segment: Int) throws -> SegmentCopy? {
    guard let member, let kept = moments[segment] else { return nil }
    return try SegmentCopy(weights[member.grid.range(ofSegment: segment)], kept)
  }

  // MARK: What comes

  private func received(_ message: MeshMessage) {
    do {
      switch try decodePeerMessage(message.head, payloadBytes: message.payload?.count ?? 0) {
      case .cell(let cell):
        guard let payload = message.payload else { return }
        received(cell, payload, from: message.peer)
      case .ask(let training, let step, let part, let segment):
        guard training == self.training, let peer = worker(message.peer) else { return }
        decide { $0.asked(part, segment: segment, step: step, by: peer) }
      }
    } catch {
      log.warning("dropped a message of \(message.peer): \(error)")
    }
  }

  private func received(_ cell: VectorCell, _ payload: Payload, from peer: String) {
    hasHeard = true
    switch cell.kind {
    case .state, .change:
      if cell.training == training { take(cell, payload, from: peer) }
      return
    case .partial, .sum: break
    }
    if fence.isVoid(cell.training, epoch: cell.epoch) { return }
    if cell.training == training, cell.epoch == member?.plan?.epoch {
      take(cell, payload, from: peer)
    } else if early.count < Self.earlyMax {
      early.append(Early(cell: cell, payload: payload, peer: peer))
    }
  }

  /// The member of the open step with this name. Without keys nobody proves one.
  private func worker(_ peer: String) -> WorkerID? {
    member?.plan?.members.first { $0.worker.name == peer }?.worker
  }

  private func take(_ header: VectorCell, _ payload: Payload, from peer: String) {
    guard let member, member.grid.cells.indices.contains(header.cell),
      header.precision == header.kind.precision(member.wire),
      let values = header.precision.values(payload),
      values.count == member.grid.cells[header.cell].count, let sender = worker(peer)
    else { return }
    let what: PeerCell
    switch header.kind {
    case .partial(let number):
      let height = TreeNode.root(virtualRanks: max(1, member.plan?.rankOwners.count ?? 1)).level
      guard let node = TreeNode(wire: number, height: height) else { return }
      what = .partial(node)
    case .sum: what = .sum
    case .state(let part): what = .state(part, step: header.step)
    case .change: what = .change(step: header.step)
    }
    // What is rounded has been unpacked into memory of its own.
    let isScratch = !payload.isOnLoan || header.precision != .f32
    decide {
      $0.received(
        what, cell: header.cell, Chunk(values: values, isScratch: isScratch), ranks: header.ranks,
        from: sender)
    }
    // A sum that this has made whole lies in the cache now.
    if let sum = self.member?.sum(of: header.cell) { _ = mark(header.cell, sum.values) }
  }

  // MARK: What follows

  private func decide(
    _ decision: (inout MemberMachine<Chunk>) -> [MemberMachine<Chunk>.Action]
  ) {
    guard var member else { return }
    // Set aside while it changes, so that its tables are changed in place.
    self.member = nil
    let wasWhole = member.isWhole
    let actions = decision(&member)
    self.member = member
    for action in actions { perform(action) }
    // A million cells come and change nothing that is worth a word.
    let isNews = actions.contains { action in
      switch action {
      case .send, .compute, .ask, .write(.weights, _, _), .add: false
      case .write, .load, .forget, .vote, .fail: true
      }
    }
    if isNews || wasWhole != self.member?.isWhole { sayProgress() }
  }

  private func sayProgress() {
    guard !isBare, let training, let progress = member?.progress, progress != said else { return }
    said = progress
    tell(.progressed(training, progress))
  }

  private func perform(_ action: MemberMachine<Chunk>.Action) {
    guard let training, let member, let plan = member.plan, let place = member.place else { return }
    switch action {
    case .compute: tell(.compute(plan, place: place))
    case .send(let what, let cell, let chunk, let to):
      send(what, cell, chunk, to: to.map { plan.members[$0].worker.name }, member, plan)
    case .ask(let part, let segment, let step, let of):
      mesh.send(
        encode(PeerMessage.ask(training, step: step, part: part, segment: segment)), nil,
        to: [plan.members[of].worker.name])
    case .load(let segment):
      if isBare { return decide { $0.loaded(segment: segment) } }
      tell(.load(segment: segment, plan))
    case .write(let part, let cell, let chunk):
      preserve([member.grid.segmentOfCell[cell]])
      state(.state(part), cell, member).copy(from: chunk.values)
    case .add(let cell, let chunk):
      preserve([member.grid.segmentOfCell[cell]])
      Kernels.add(into: weights[member.grid.cells[cell]], chunk.values, on: compute)
    case .forget(let segment):
      preserve([segment])
      moments[segment] = nil
    case .vote(let segments): vote(for: segments, member, plan)
    case .fail(let reason): tell(.failed(training, reason))
    }
  }

  private func send(
    _ what: PeerCell, _ cell: Int, _ chunk: Chunk?, to peers: [String],
    _ member: MemberMachine<Chunk>, _ plan: StepPlan
  ) {
    let head = VectorCell(what, cell: cell, member, plan)
    let values = chunk?.values ?? state(head.kind, cell, member)
    mesh.send(
      encode(PeerMessage.cell(head)), head.precision.payload(of: values), to: peers,
      as: head.step == plan.step && chunk != nil ? .sum : .state)
  }

  /// Where a cell of the state lies.
  private func state(_ kind: CellKind, _ cell: Int, _ member: MemberMachine<Chunk>) -> Floats {
    if case .state(let part) = kind, part != .weights, let values = kept(cell, member)[part] {
      return values
    }
    return weights[member.grid.cells[cell]]
  }

  /// A cell's moments; those of its segment are made when they are wanted first.
  private func kept(_ cell: Int, _ member: MemberMachine<Chunk>) -> Moments {
    let (grid, segment) = (member.grid, member.grid.segmentOfCell[cell])
    let range = grid.range(ofSegment: segment)
    let all = moments[segment] ?? Moments(zeros: range.count, member.wire)
    moments[segment] = all
    let window = grid.cells[cell]
    return all[window.lowerBound - range.lowerBound..<window.upperBound - range.lowerBound]
  }

  private func vote(for segments: [Int], _ member: MemberMachine<Chunk>, _ plan: StepPlan) {
    let known = member.statistics.compactMap { $0 }
    let tokens = known.reduce(0) { $0 + $1.tokens }
    let sums = segments.map { segment in
      member.grid.cellsOfSegment[segment].reduce(
        SegmentSum(segment: segment, sumOfSquares: 0, check: 0)
      ) { sum, cell in
        guard let values = member.sum(of: cell)?.values else { return sum }
        let mark = mark(cell, values)
        return SegmentSum(
          segment: segment, sumOfSquares: sum.sumOfSquares + mark.sumOfSquares,
          check: sum.check &* 0x9E37_79B9_7F4A_7C15 ^ mark.check)
      }
    }
    tell(
      .vote(
        StepVote(
          training: plan.training, epoch: plan.epoch, step: plan.step,
          loss: treeSum(known.map(\.lossSum)) / Double(max(tokens, 1)), tokens: tokens,
          sums: sums, computing: .zero)))
  }

  private func mark(_ cell: Int, _ values: Floats) -> Mark {
    if let known = marks[cell] { return known }
    let mark = Mark(
      sumOfSquares: sumOfSquares(values, on: compute), check: checksum(of: values))
    marks[cell] = mark
    return mark
  }
}
