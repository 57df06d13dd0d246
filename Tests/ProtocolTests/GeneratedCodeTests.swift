import Foundation
import TestSupport
import Testing

private let generatorIsHere = ["/usr/bin", "/usr/local/bin"].contains {
  FileManager.default.isExecutableFile(atPath: $0 + "/protoc-c")
}

@Suite("The generated code")
struct GeneratedCodeTests {
  @Test(
    "is what protoc-c makes of proto/ today: after a change run proto/generate.sh",
    .enabled(if: generatorIsHere, "protoc-c (package protobuf-c-compiler) is not installed"))
  func upToDate() throws {
    let target = try TemporaryFolder()
    let generator = Process()
    generator.executableURL = repository.appending(path: "proto/generate.sh")
    generator.arguments = [target.path]
    try generator.run()
    generator.waitUntilExit()
    #expect(generator.terminationStatus == 0)
    let names = ["common", "worker", "coordinator", "bulk"].flatMap {
      ["\($0).pb-c.c", "include/\($0).pb-c.h"]
    }
    for name in names {
      let made = try String(contentsOf: target.url.appending(path: name), encoding: .utf8)
      let kept = try String(
        contentsOf: repository.appending(path: "Sources/CProtocol/\(name)"), encoding: .utf8)
      #expect(made == kept, "\(name) is out of date: run proto/generate.sh")
    }
  }
}
