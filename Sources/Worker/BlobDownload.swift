import Domain
import Hashing
import Protocol
import Scheduling

/// A blob on its way to this worker.
struct BlobDownload {
  /// Who waits for it.
  var waiting: [CheckedContinuation<Void, any Error>] = []
  /// What is known since it was found; nil: the coordinator has not answered yet.
  var course: Course?
  /// When the coordinator was last asked where it is.
  var soughtAt: Moment
  var timesSought = 0
  /// Members of which the coordinator told, in its answer, before or after it.
  var sources: [String: BlobSource] = [:]

  /// How soon the coordinator is asked again who has it, while few do, and, later and later, where
  /// it is at all.
  private static let seekEvery = Duration.seconds(10)
  private static let seekAnewAfter = Duration.seconds(30)

  func isToBeSought(at now: Moment) -> Bool {
    let since = now - soughtAt
    guard let course else { return since >= Self.seekAnewAfter * (1 << min(timesSought, 6)) }
    return course.schedule.members.count < BlobTracker.namedMax && since >= Self.seekEvery
  }

  struct Course {
    let pieces: PieceList
    /// Where they are kept; nil for a blob of one piece, which is written at once.
    let partial: PartialBlob?
    var schedule: PieceSchedule
    /// Pieces that came, by who sent them.
    var sent: [PieceSchedule.Source: Int] = [:]
    let begunAt: Moment
    /// Pieces that were here when it began.
    let hereBefore: Int
    var toldAt: Moment
  }
}

extension BlobDownload.Course {
  init(
    blob: Digest, pieces: PieceList, partial: PartialBlob?, worker: String, at now: Moment
  ) {
    let here = partial?.here ?? PieceSet(none: pieces.count)
    self.pieces = pieces
    self.partial = partial
    let seed = Digest(hashing: blob.bytes + Array(worker.utf8)).words.0
    schedule = PieceSchedule(here: here, seed: seed, at: now)
    begunAt = now
    hereBefore = here.count
    toldAt = now
  }

  /// Worth a line in the log.
  var isLarge: Bool { pieces.count >= 32 }

  func progress(at now: Moment) -> String {
    let (here, seconds) = (schedule.here.count, max((now - begunAt).inSeconds, 0.001))
    let rate = Double(here - hereBefore) * Double(pieceBytes) / 1_048_576 / seconds
    let left = Double(pieces.count - here) * Double(pieceBytes) / 1_048_576
    let size = "\(here) of \(pieces.count) MiB, \(Int(rate)) MiB/s"
    return rate > 0 && left > 0 ? size + ", \(Int(left / rate)) s left" : size
  }

  /// How much came from whom.
  var origins: String {
    sent.sorted { $0.key < $1.key }.map { "\($0.value) from \($0.key)" }.joined(separator: ", ")
  }
}
