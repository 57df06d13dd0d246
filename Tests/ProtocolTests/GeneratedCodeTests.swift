import Foundation
import Testing

private let root = URL(filePath: #filePath).resolvingSymlinksInPath()
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

private let generatorIsHere = ["/usr/bin", "/usr/local/bin"].contains {
  FileManager.default.isExecutableFile(atPath: $0 + "/protoc-c")
}

@Suite("The generated code")
struct GeneratedCodeTests {
  @Test(
    "is what protoc-c makes of proto/ today: after a change run proto/generate.sh",
    .enabled(if: generatorIsHere, "protoc-c (package protobuf-c-compiler) is not installed"))
  func upToDate() throws {
    let target = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: target) }
    let generator = Process()
    generator.executableURL = root.appending(path: "proto/generate.sh")
    generator.arguments = [target.path]
    try generator.run()
    generator.waitUntilExit()
    #expect(generator.terminationStatus == 0)
    let names = ["common", "worker", "coordinator", "bulk"].flatMap {
      ["\($0).pb-c.c", "include/\($0).pb-c.h"]
    }
    for name in names {
      let made = try String(contentsOf: target.appending(path: name), encoding: .utf8)
      let kept = try String(
        contentsOf: root.appending(path: "Sources/CProtocol/\(name)"), encoding: .utf8)
      #expect(made == kept, "\(name) is out of date: run proto/generate.sh")
    }
  }
}
