import ArgumentParser
import Formats
import Foundation

struct BenchImage: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image",
    abstract: "JPEG and PNG files to CLIP's pixel values on one thread, in pictures a second.",
    discussion: """
      The files are read before; decoding, resizing, cutting and normalising are measured.

      Example:
        comd bench image --images flickr8k/images --count 200 --side 336
      """)

  @Option(help: "A folder of pictures.")
  var images: String
  @Option(help: "The first so many pictures, by name.")
  var count = 200
  @Option(help: "Edge of the square that is cut from the middle, in pixels.")
  var side = 336
  @OptionGroup var options: BenchOptions

  func validate() throws {
    try requireFile("--images", images)
    try require("--count", count, in: 1...1_000_000)
    try require("--side", side, in: 1...4_096)
  }

  func run() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: images)
      .filter { [".jpg", ".jpeg", ".png"].contains(where: $0.lowercased().hasSuffix) }
      .sorted().prefix(count)
    guard !names.isEmpty else { throw CommandError.usage("--images: \(images) holds no pictures") }
    let files = try names.map { ($0, try bytes(of: images + "/" + $0)) }
    let processor = ImageProcessor(
      resize: .shortestEdge(side), crop: ImageProcessor.Size(height: side, width: side))
    var single = options
    single.computing.threads = 1
    try measure("image", unit: "img/s", amount: Double(files.count), operations: 0, single) {
      for (name, file) in files { _ = try processor.pixelValues(file, name: name) }
    }
  }
}
