import ArgumentParser
import Store

struct Backup: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Copy a run while it goes on, or after; the copy can be gone on with.",
    discussion: """
      The copy is the run as it was at one moment, with every result that was acknowledged by then.

      Example:
        comd backup --dir runs/first --to backups/first
        comd run --config cluster/cluster.yaml --dir backups/first --workers 2
      """)

  @OptionGroup var place: RunOptions
  @Option(name: .customLong("to"), help: "A folder that does not exist yet.")
  var target: String

  func run() async throws {
    let progress = Progress("copying", unit: "files", total: nil)
    var files = 0
    try RunStore.backup(of: place.folder, to: target) { done, _ in
      files = done
      progress.update(done)
    }
    progress.finish(files)
    log("\(place.folder) as it was is in \(target)")
  }
}
