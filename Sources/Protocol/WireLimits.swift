/// What one message may hold at most. A decoder refuses more with a typed error.
public enum WireLimits {
  /// A control message, and the first frame of a bulk message.
  public static let messageBytesMax = 8 << 20
  /// The data frame of one blob chunk.
  public static let chunkBytesMax = 4 << 20
  /// The data frame of one gradient segment or of one piece of a training state.
  public static let tensorBytesMax = 256 << 20
  /// One text: a prompt's part, an answer.
  public static let textBytesMax = 4 << 20
  /// Names, endpoints, kernel sets.
  public static let nameBytesMax = 1024
  /// Words that say why something failed; longer ones are cut when they are encoded.
  public static let reasonBytesMax = 4096
  /// Parts of one prompt.
  public static let partsMax = 4096
  /// Tokens of one answer.
  public static let tokensMax = 1 << 20
  public static let stopsMax = 64
  /// Reports or assignments in one message; `reportMessages` and `assignMessages` split by it.
  public static let batchMax = 1024
  /// Job numbers, or attempts, in one message.
  public static let jobsMax = 65_536
  public static let modelsMax = 1024
  /// Blobs in one announcement.
  public static let announcedMax = 4096
  /// Workers that are named for one blob.
  public static let sourcesMax = 16
  /// Size of a blob that a message may tell of.
  public static let blobBytesMax = 1 << 48
  /// Bytes of the digests of a blob's pieces, or of the bits that say which are there.
  public static let pieceListBytesMax = messageBytesMax
  public static let membersMax = 4096
  public static let ranksMax = 65_536
  public static let segmentsMax = 65_536
  public static let adapterRankMax = 65_536
  /// What unpacking one message may take from the heap: a hostile message is small on the wire and
  /// large in memory, so this is a limit of its own.
  static let unpackedBytesMax = 64 << 20
  /// Size of a batch beyond which the next item goes into a message of its own.
  static let batchBytes = 2 << 20
}
