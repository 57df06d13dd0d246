public import Domain

/// Which piece of a blob is asked of whom next, by the worker that fetches it. Decides only.
///
/// Pieces come from members that have them; the coordinator is asked for what no member has, and
/// for what members are late with. Every source has a window, which grows while its pieces come
/// quickly. Each worker has an order of its own, so that those that begin together seldom ask the
/// coordinator for the same piece, and have something to give each other.
public struct PieceSchedule: Sendable {
  public enum Source: Hashable, Comparable, Sendable, CustomStringConvertible {
    case coordinator
    case member(String)

    public var description: String {
      switch self {
      case .coordinator: "the coordinator"
      case .member(let name): name
      }
    }
  }

  public struct Ask: Hashable, Sendable {
    public var source: Source
    public var piece: Int
    public init(source: Source, piece: Int) {
      self.source = source
      self.piece = piece
    }
  }

  private struct Standing {
    /// Nil: not known yet.
    var has: PieceSet?
    var addedAt: Moment
    var surveyedAt: Moment?
    /// When each piece was asked of it that has not come.
    var asked: [Int: Moment] = [:]
    var window = 1
  }

  /// Pieces under way from one source, at most.
  public static let windowMax = 8
  /// A window grows when a piece came within the first, and shrinks when it took more than the
  /// second.
  private static let quick = Duration.seconds(1)
  private static let slow = Duration.seconds(2)
  /// How long a member's first word about what it has is waited for.
  private static let surveyPatience = Duration.seconds(1)
  /// A member that has not all is asked again what it has.
  private static let surveyEvery = Duration.milliseconds(250)
  /// When nothing else is to be asked: a piece that is so late, and by so many times what is usual,
  /// is asked of another source, too.
  private static let late = Duration.seconds(2)
  private static let lateTimes = 3.0

  public private(set) var here: PieceSet
  private var sources: [Source: Standing] = [:]
  /// Sources that have sent something wrong.
  private var banned: Set<Source> = []
  /// How many sources each piece is asked of.
  private var askedOf: [Int: Int] = [:]
  private let order: Order
  /// Place in the order before which every piece is here or asked for.
  private var cursor = 0
  /// Usual time from asking for a piece to having it.
  private var usual = Duration.zero

  /// - Parameter seed: tells this worker's order from another's.
  public init(here: PieceSet, seed: UInt64, at now: Moment) {
    self.here = here
    order = Order(of: here.pieceCount, seed: seed)
    sources[.coordinator] = Standing(has: PieceSet(all: here.pieceCount), addedAt: now)
  }

  public var isComplete: Bool { here.isWhole }

  /// The names of members that are sources, in order.
  public var members: [String] {
    sources.keys.sorted().compactMap { if case .member(let name) = $0 { name } else { nil } }
  }

  /// A member can be asked; what it has is to be found out.
  public mutating func add(_ name: String, at now: Moment) {
    let source = Source.member(name)
    guard !banned.contains(source), sources[source] == nil else { return }
    sources[source] = Standing(addedAt: now)
  }

  /// A member has said what it has. One that has nothing is no source.
  public mutating func surveyed(_ name: String, has: PieceSet) {
    guard has.pieceCount == here.pieceCount else { return lost(.member(name)) }
    sources[.member(name)]?.has = has
  }

  /// A source cannot be asked for the time being: what was asked of it is asked of others.
  public mutating func lost(_ source: Source) {
    putBack(source)
    if source != .coordinator { sources[source] = nil }
  }

  /// A source has sent something wrong, and is not asked again.
  public mutating func ban(_ source: Source) {
    putBack(source)
    sources[source] = nil
    banned.insert(source)
  }

  private mutating func putBack(_ source: Source) {
    guard let standing = sources[source] else { return }
    for piece in standing.asked.keys { settle(piece) }
    sources[source]?.asked = [:]
    sources[source]?.window = 1
  }

  private mutating func settle(_ piece: Int) {
    let others = (askedOf[piece] ?? 1) - 1
    askedOf[piece] = others > 0 ? others : nil
    if others == 0, !here.contains(piece) { cursor = min(cursor, order.place(of: piece)) }
  }

  /// Whether a piece that came is one that is missing: it is to be checked, and then `take`n.
  public func wants(_ piece: Int) -> Bool {
    piece >= 0 && piece < here.pieceCount && !here.contains(piece)
  }

  /// A piece has come, and is what it should be.
  public mutating func take(_ piece: Int, from source: Source, at now: Moment) {
    here.insert(piece)
    guard let asked = sources[source]?.asked.removeValue(forKey: piece) else { return }
    settle(piece)
    let took = now - asked
    usual = usual == .zero ? took : usual * 0.875 + took * 0.125
    guard let window = sources[source]?.window else { return }
    if took < Self.quick {
      sources[source]?.window = min(window + 1, Self.windowMax)
    } else if took > Self.slow {
      sources[source]?.window = max(window - 1, 1)
    }
  }

  /// What is to be asked now, so that every window is full.
  public mutating func asks(at now: Moment) -> [Ask] {
    var asks: [Ask] = []
    // Members first: the coordinator has what they do not.
    for source in sources.keys.sorted().reversed() {
      while let standing = sources[source], standing.asked.count < standing.window,
        let piece = next(for: source, standing, at: now)
      {
        sources[source]?.asked[piece] = now
        askedOf[piece, default: 0] += 1
        asks.append(Ask(source: source, piece: piece))
      }
    }
    return asks
  }

  /// Members that are to be asked what they have, of those that can be.
  public mutating func surveys(at now: Moment, reachable: (String) -> Bool) -> [String] {
    members.filter { name in
      let source = Source.member(name)
      guard let standing = sources[source], standing.has?.isWhole != true, reachable(name) else {
        return false
      }
      if let last = standing.surveyedAt, now - last < Self.surveyEvery { return false }
      sources[source]?.surveyedAt = now
      return true
    }
  }

  private mutating func next(for source: Source, _ standing: Standing, at now: Moment) -> Int? {
    while cursor < here.pieceCount {
      let piece = order.piece(at: cursor)
      guard here.contains(piece) || askedOf[piece] != nil else { break }
      cursor += 1
    }
    guard let has = standing.has else { return nil }
    if source == .coordinator, awaitsSurvey(at: now) { return nil }
    let isNeeded = source != .coordinator || !sources.contains { isWholeMember($0, $1) }
    for place in cursor..<(isNeeded ? here.pieceCount : cursor) {
      let piece = order.piece(at: place)
      if here.contains(piece) || askedOf[piece] != nil || !has.contains(piece) { continue }
      if source == .coordinator, isWithMembers(piece) { continue }
      return piece
    }
    return standing.asked.isEmpty ? latePiece(has, at: now) : nil
  }

  private func awaitsSurvey(at now: Moment) -> Bool {
    sources.contains { source, standing in
      source != .coordinator && standing.has == nil
        && now - standing.addedAt < Self.surveyPatience
    }
  }

  private func isWholeMember(_ source: Source, _ standing: Standing) -> Bool {
    source != .coordinator && standing.has?.isWhole == true
  }

  private func isWithMembers(_ piece: Int) -> Bool {
    sources.contains { source, standing in
      source != .coordinator && standing.has?.contains(piece) == true
    }
  }

  /// The piece that somebody else is latest with.
  private func latePiece(_ has: PieceSet, at now: Moment) -> Int? {
    let limit = max(Self.late, usual * Self.lateTimes)
    var latest: (piece: Int, since: Moment)?
    for (_, standing) in sources {
      for (piece, since) in standing.asked
      where now - since >= limit && askedOf[piece] == 1 && has.contains(piece)
        && !here.contains(piece)
      {
        if let known = latest, (known.since, known.piece) <= (since, piece) { continue }
        latest = (piece, since)
      }
    }
    return latest?.piece
  }
}

/// An order of pieces: around the ring by steps that meet every one.
private struct Order {
  private let count: Int
  private let start: Int
  private let step: Int
  /// Steps from a piece to the next one by number.
  private let inverse: Int

  init(of count: Int, seed: UInt64) {
    self.count = count
    guard count > 1 else {
      (start, step, inverse) = (0, 1, 1)
      return
    }
    start = Int(seed % UInt64(count))
    var step = max(1, Int(seed / UInt64(count) % UInt64(count)))
    var inverse = Order.inverse(of: step, modulo: count)
    while inverse == nil {
      step = step % (count - 1) + 1
      inverse = Order.inverse(of: step, modulo: count)
    }
    self.step = step
    self.inverse = inverse ?? 1
  }

  func piece(at place: Int) -> Int { (start + place * step) % count }

  func place(of piece: Int) -> Int { (piece - start + count) % count * inverse % count }

  /// By Euclid's algorithm; nil: they have a common divisor.
  private static func inverse(of number: Int, modulo count: Int) -> Int? {
    var (remainder, next) = (count, number)
    var (factor, nextFactor) = (0, 1)
    while next != 0 {
      let quotient = remainder / next
      (remainder, next) = (next, remainder - quotient * next)
      (factor, nextFactor) = (nextFactor, factor - quotient * nextFactor)
    }
    return remainder == 1 ? (factor + count) % count : nil
  }
}
