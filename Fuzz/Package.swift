// swift-tools-version: 6.2
import PackageDescription

// One libFuzzer binary for every format that comes from outside: `run.sh SECONDS` runs them all.
// A package of its own, for `--sanitize=fuzzer` brings a main of its own to every executable.

func fuzzer(_ name: String, room: String = "Formats") -> Target {
  .executableTarget(
    name: name,
    dependencies: [.product(name: room, package: "comd")],
    swiftSettings: [
      .treatAllWarnings(as: .error),
      .enableUpcomingFeature("MemberImportVisibility"),
      .unsafeFlags(["-parse-as-library"]),
    ])
}

let package = Package(
  name: "comd-fuzz",
  dependencies: [.package(name: "comd", path: "..")],
  targets: [
    fuzzer("FuzzGGUF"), fuzzer("FuzzSafetensors"), fuzzer("FuzzTokenizer"), fuzzer("FuzzImages"),
    fuzzer("FuzzWire", room: "Protocol"), fuzzer("FuzzJournal", room: "Journal"),
  ]
)
