import Domain
import HeapModule

/// The jobs that wait for a worker, arranged so that finding the right one never scans them.
///
/// Jobs about one picture form a group. A group has no home until one of its jobs is taken; from
/// then on its jobs go to that worker first, which has the picture's embedding and the prompt's
/// beginning at hand. A worker takes, in this order: of its own groups with the model that it has
/// in memory, of homeless groups with that model, of its own groups, of homeless groups, and, when
/// it would be idle otherwise, a whole group from the home with the longest queue. Jobs that failed
/// before stand apart, for workers on which they have not failed; so do jobs with which workers
/// were lost, for workers that hold nothing else.
struct OpenJobs: Sendable {
  private struct Lane: Hashable, Sendable {
    var home: String?
    var model: Digest
  }
  private struct Waiting: Sendable {
    var lane: Lane
    var group: Digest?
  }
  private struct Group: Sendable {
    var home: String?
    var waiting: Set<JobID> = []
  }

  private var waiting: [JobID: Waiting] = [:]
  /// May name jobs that have been taken or moved since: `waiting` decides.
  private var heaps: [Lane: Heap<JobID>] = [:]
  private var counts: [Lane: Int] = [:]
  /// Summed over homes.
  private var countsOfModels: [Digest: Int] = [:]
  private var groups: [Digest: Group] = [:]
  private var homes: [String: Set<Digest>] = [:]
  /// Jobs that a worker does with nothing beside them; the heap may name jobs that were removed.
  private var alone: Heap<JobID> = []
  private var waitingAlone: Set<JobID> = []
  private var retries: Heap<JobID> = []
  private var retryFailures: [JobID: [String]] = [:]

  /// Retries that a worker looks through before it gives up finding one for itself.
  private static let retriesLookedAtMax = 32

  var count: Int { waiting.count + retryFailures.count + waitingAlone.count }
  var isEmpty: Bool { count == 0 }

  func contains(_ job: JobID) -> Bool {
    waiting[job] != nil || retryFailures[job] != nil || waitingAlone.contains(job)
  }

  /// The worker that is preferred for the job, if any.
  func home(of job: JobID) -> String? { waiting[job]?.lane.home }

  mutating func insert(_ job: Job, failedOn: [String], isAlone: Bool) {
    if isAlone {
      alone.insert(job.id)
      waitingAlone.insert(job.id)
      return
    }
    guard failedOn.isEmpty else {
      retries.insert(job.id)
      retryFailures[job.id] = failedOn
      return
    }
    let picture = job.request.prompt.image
    let home = picture.flatMap { groups[$0]?.home }
    if let picture { groups[picture, default: Group()].waiting.insert(job.id) }
    enter(job.id, Lane(home: home, model: job.request.model), picture)
  }

  mutating func remove(_ job: JobID) {
    retryFailures[job] = nil
    waitingAlone.remove(job)
    guard let entry = waiting.removeValue(forKey: job) else { return }
    add(-1, to: entry.lane)
    if let group = entry.group { groups[group]?.waiting.remove(job) }
  }

  /// Takes the best job for a worker out of the queues.
  ///
  /// - Parameters:
  ///   - warm: the model in the worker's memory.
  ///   - cached: models on its disk, preferred among the rest.
  ///   - workers: names of all workers that take jobs: a retry waits for one that has not failed
  ///     at it as long as there is one.
  ///   - mayTakeOver: whether a group may be taken from another worker.
  ///   - holdsNothing: whether it may be one that is done alone.
  mutating func take(
    for worker: String, warm: Digest?, cached: [Digest], workers: [String], mayTakeOver: Bool,
    holdsNothing: Bool
  ) -> JobID? {
    if holdsNothing, let job = takeAlone() { return job }
    if let job = takeRetry(for: worker, workers: workers) { return job }
    let models = modelsByPreference(warm: warm, cached: cached)
    for model in models {
      if let job = take(from: model, for: worker) { return job }
    }
    guard mayTakeOver else { return nil }
    for model in models where takeOverGroup(of: model, by: worker) {
      if let job = take(from: model, for: worker) { return job }
    }
    return nil
  }

  /// The worker is no longer there for its groups.
  mutating func makeHomeless(_ worker: String) {
    for picture in (homes.removeValue(forKey: worker) ?? []).sorted() {
      settle(picture, at: nil)
    }
  }

  /// Forgets which worker knows which picture; only when nothing waits.
  mutating func forgetHomes() {
    precondition(isEmpty, "homes are forgotten between phases only")
    self = OpenJobs()
  }

  private mutating func enter(_ job: JobID, _ lane: Lane, _ group: Digest?) {
    waiting[job] = Waiting(lane: lane, group: group)
    heaps[lane, default: []].insert(job)
    add(1, to: lane)
  }

  private mutating func add(_ difference: Int, to lane: Lane) {
    counts[lane, default: 0] += difference
    countsOfModels[lane.model, default: 0] += difference
  }

  private func modelsByPreference(warm: Digest?, cached: [Digest]) -> [Digest] {
    let models = countsOfModels.filter { $0.value > 0 }.keys.sorted()
    func rank(_ model: Digest) -> Int { model == warm ? 0 : cached.contains(model) ? 1 : 2 }
    return models.enumerated()
      .sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
      .map(\.element)
  }

  private mutating func take(from model: Digest, for worker: String) -> JobID? {
    if let job = pop(Lane(home: worker, model: model)) { return job.id }
    guard let job = pop(Lane(home: nil, model: model)) else { return nil }
    if let picture = job.group { settle(picture, at: worker) }
    return job.id
  }

  private mutating func pop(_ lane: Lane) -> (id: JobID, group: Digest?)? {
    guard counts[lane, default: 0] > 0 else {
      heaps[lane] = nil
      return nil
    }
    while let job = heaps[lane]?.popMin() {
      guard let entry = waiting[job], entry.lane == lane else { continue }
      remove(job)
      return (job, entry.group)
    }
    return nil
  }

  /// Moves a group's waiting jobs to the lanes of `home`.
  private mutating func settle(_ picture: Digest, at home: String?) {
    guard var group = groups[picture], group.home != home else { return }
    if let old = group.home { homes[old]?.remove(picture) }
    if let home { homes[home, default: []].insert(picture) }
    group.home = home
    groups[picture] = group
    for job in group.waiting.sorted() {
      guard let entry = waiting[job] else { continue }
      add(-1, to: entry.lane)
      enter(job, Lane(home: home, model: entry.lane.model), picture)
    }
  }

  /// The last group in the longest queue of this model finds a new home.
  private mutating func takeOverGroup(of model: Digest, by worker: String) -> Bool {
    var longest: (lane: Lane, count: Int, home: String)?
    for home in homes.keys where home != worker {
      let lane = Lane(home: home, model: model)
      guard let count = counts[lane], count > 0 else { continue }
      // Of equally long ones the first by name, whatever the order in which they are looked at.
      if let longest, (count, longest.home) <= (longest.count, home) { continue }
      longest = (lane, count, home)
    }
    guard let lane = longest?.lane else { return false }
    while let job = heaps[lane]?.popMax() {
      guard let entry = waiting[job], entry.lane == lane, let picture = entry.group else {
        continue
      }
      settle(picture, at: worker)
      return true
    }
    return false
  }

  private mutating func takeAlone() -> JobID? {
    while let job = alone.popMin() {
      if waitingAlone.remove(job) != nil { return job }
    }
    return nil
  }

  private mutating func takeRetry(for worker: String, workers: [String]) -> JobID? {
    var passed: [JobID] = []
    defer { for job in passed { retries.insert(job) } }
    while passed.count < OpenJobs.retriesLookedAtMax, let job = retries.popMin() {
      guard let failedOn = retryFailures[job] else { continue }
      let others = workers.contains { $0 != worker && !failedOn.contains($0) }
      if failedOn.contains(worker), others {
        passed.append(job)
        continue
      }
      retryFailures[job] = nil
      return job
    }
    return nil
  }
}
