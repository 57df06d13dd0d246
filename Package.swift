// swift-tools-version: 6.2
import PackageDescription

// The rooms and the doors between them: ARCHITECTURE.md says why each stands where it does.
// An import that is not declared here fails the build (`make build` passes
// `--explicit-target-dependency-import-check error`).

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]
/// Rooms that may hold unsafe pointers; every use is marked.
let unsafeRoom: [SwiftSetting] = strict + [.strictMemorySafety()]
let fastC: [CSetting] = [.unsafeFlags(["-O3", "-Wall", "-Werror"])]

func room(
  _ name: String, _ dependencies: [Target.Dependency] = [],
  settings: [SwiftSetting] = strict, linked: [LinkerSetting] = [], resources: [Resource] = []
) -> Target {
  .target(
    name: name, dependencies: dependencies, resources: resources, swiftSettings: settings,
    linkerSettings: linked)
}

func specification(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: [.byName(name: name)] + dependencies,
    swiftSettings: strict)
}

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let signals = Target.Dependency.product(
  name: "UnixSignals", package: "swift-service-lifecycle")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "comd",
  products: [
    .executable(name: "comd", targets: ["CommandLineTool"]),
    // For Fuzz/, a package of its own because a fuzzer brings its own main.
    .library(name: "Formats", targets: ["Formats"]),
    .library(name: "Journal", targets: ["Journal"]),
    .library(name: "Protocol", targets: ["Protocol"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // The vocabulary and the method: pure, no Foundation.
    room("Domain"),
    room("Distillation", ["Domain"]),
    room("Scheduling", ["Domain", "Distillation", heap]),
    room("Simulation", ["Domain", "Distillation", "Scheduling"]),

    // The wire, the store, the settings.
    room("Hashing", ["Domain", crypto]),
    .target(name: "CProtocol", cSettings: fastC, linkerSettings: [.linkedLibrary("protobuf-c")]),
    room("Protocol", ["Domain", "CProtocol"], settings: unsafeRoom),
    .systemLibrary(name: "CZlib"),
    room("Journal", ["Domain", "Scheduling", "Protocol", "CZlib"], settings: unsafeRoom),
    .systemLibrary(name: "CZeroMQ"),
    room("Transport", ["CZeroMQ", crypto], settings: unsafeRoom),
    room("Store", ["Domain", "Hashing", grdb, sqlite]),
    room("Settings", ["Domain", "Distillation", yams]),

    // Compute.
    .target(name: "CKernels", cSettings: fastC),
    .target(name: "COpenBLAS", cSettings: fastC),
    .systemLibrary(name: "COneDNN"),
    .target(
      name: "CImages", cSettings: fastC,
      linkerSettings: [
        .linkedLibrary("jpeg"), .linkedLibrary("png"),
      ]),
    room("Kernels", ["CKernels", "COpenBLAS", "COneDNN"], settings: unsafeRoom),
    room("Formats", ["CImages"], settings: unsafeRoom),
    room("Transformer", ["Kernels", "Formats"]),

    // What runs where.
    room(
      "Coordinator",
      [
        "Domain", "Distillation", "Scheduling", "Protocol", "Journal", "Transport", "Store",
        "Settings", "Hashing", "Datasets", "Evaluation", "Executors", logging,
      ]),
    room(
      "Worker",
      [
        "Domain", "Distillation", "Scheduling", "Protocol", "Transport", "Settings", "Hashing",
        "Transformer", "Formats", "Kernels", "Executors", logging,
      ]),
    room("Executors"),
    room("Datasets", ["Domain", "Hashing"]),
    room("Evaluation", ["Domain", "Distillation", "Datasets"]),
    room("Shapes", ["Domain"]),
    room(
      "ShapesTraining",
      ["Domain", "Distillation", "Shapes", "Formats", "Kernels", "Transformer"]),
    .executableTarget(
      name: "CommandLineTool",
      dependencies: [
        "Domain", "Distillation", "Scheduling", "Simulation", "Protocol", "Transport", "Store",
        "Settings", "Hashing", "Kernels", "Formats", "Transformer", "Coordinator", "Worker",
        "Datasets", "Evaluation", "Executors", "Shapes", "ShapesTraining", arguments, logging,
        signals,
      ],
      path: "Sources/CommandLine", swiftSettings: strict),

    // What tests of several rooms use.
    .target(
      name: "TestSupport", dependencies: ["Domain"], path: "Tests/TestSupport",
      swiftSettings: strict),
    specification("TestSupport"),

    specification("Domain", ["TestSupport"]),
    specification("Distillation", ["TestSupport", "Domain"]),
    specification("Scheduling", ["Domain"]),
    specification("Simulation"),
    specification("Protocol", ["TestSupport", "Domain"]),
    specification(
      "Journal", ["TestSupport", "Domain", "Distillation", "Scheduling", "Simulation"]),
    specification("Transport", ["TestSupport"]),
    specification("Store", ["TestSupport", "Domain", "Hashing", grdb]),
    specification("Settings", ["TestSupport", "Domain", "Distillation"]),
    specification("Kernels", ["TestSupport"]),
    specification("Formats", ["TestSupport"]),
    specification("Transformer", ["TestSupport", "Kernels", "Formats"]),
    specification("Datasets", ["TestSupport", "Domain", "Hashing"]),
    specification("Evaluation", ["TestSupport", "Domain", "Datasets"]),
    specification("Shapes", ["TestSupport", "Domain"]),
    specification(
      "ShapesTraining",
      ["TestSupport", "Domain", "Distillation", "Shapes", "Formats", "Kernels", "Transformer"]),
    specification("Hashing", ["TestSupport", "Domain"]),
    specification(
      "Worker",
      [
        "TestSupport", "ClusterFixtures", "Domain", "Scheduling", "Protocol", "Transport",
        "Hashing", "Transformer", "Kernels", logging,
      ]),
    .target(
      name: "ClusterFixtures",
      dependencies: ["Formats", "Shapes", "ShapesTraining", "Transformer"],
      path: "Tests/ClusterFixtures", swiftSettings: strict),
    specification(
      "Coordinator",
      [
        "TestSupport", "ClusterFixtures", "Domain", "Distillation", "Scheduling", "Settings",
        "Store", "Protocol", "Journal", "Transport", "Hashing", "Worker", logging,
      ]),
    .testTarget(
      name: "CommandLineTests",
      dependencies: [
        "CommandLineTool", "ClusterFixtures", "TestSupport", "Coordinator", "Domain", "Hashing",
        "Protocol", "Transport",
      ], swiftSettings: strict),
    .testTarget(
      name: "TidyTests", dependencies: ["TestSupport"], swiftSettings: strict),
  ]
)
