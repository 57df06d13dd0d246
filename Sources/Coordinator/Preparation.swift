import Datasets
import Distillation
import Domain
import Foundation
import Hashing
import Logging
import Scheduling
import Settings

/// Everything a run is about, read from where the user has it.
struct PreparedRun: Sendable {
  var input: RunInput
  var pool: [Instruction]
  /// With the expected answers, in the order of the settings.
  var examinations: [Datasets.EvaluationSet]
}

/// Why a run cannot begin.
enum PreparationError: Error, CustomStringConvertible {
  case model(path: String, what: String)
  case data(DataProblem)
  case noInstructions(file: String)
  case otherSettings(folder: String)

  var description: String {
    switch self {
    case .model(let path, let what): "\(path): \(what)"
    case .data(let problem): "\(problem)"
    case .noInstructions(let file): "\(file): no instruction in it can be used"
    case .otherSettings(let folder):
      "\(folder) was begun with other models, data or method: give the settings it was begun "
        + "with to go on, or another --dir to begin anew"
    }
  }
}

/// Reads models, pool and examinations; hashes what the workers will fetch.
struct Preparation {
  let settings: ClusterSettings
  let inventory: Inventory
  let blobs: BlobFolder
  let log: Logger

  /// - Parameter begun: the run has its pool, the inventory its pictures: neither is read again.
  func read(begun: Bool) throws -> PreparedRun {
    let teacher = try model(settings.models.teacher.path)
    let student = try model(settings.models.student.path)
    log.info("teacher \(teacher), student \(student)")
    let pool = begun ? [] : try readPool()
    if !begun { log.info("\(pool.count) instructions") }
    var examinations: [Datasets.EvaluationSet] = []
    var sets: [Scheduling.EvaluationSet] = []
    for examination in settings.evaluate {
      let (set, items) = try readExamination(examination)
      examinations.append(set)
      sets.append(
        Scheduling.EvaluationSet(
          name: examination.name.rawValue, items: items,
          sampling: RoleSampling(
            temperature: examination.temperature, tokensMax: settings.tokensMax.answer)))
    }
    try inventory.save()
    return PreparedRun(
      input: RunInput(
        teacher: teacher, student: student, hasCaptions: settings.data.hasStage1,
        evaluationSets: sets),
      pool: pool, examinations: examinations)
  }

  /// The digest of a model: of the manifest over its files, which becomes a blob.
  func model(_ path: String) throws -> Digest {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw PreparationError.model(
        path: path, what: "there is no such model; a Hugging Face folder or a GGUF file is expected"
      )
    }
    var files: [ModelManifest.File] = []
    for name in isFolder.boolValue ? try names(in: path) : [""] {
      let file = name.isEmpty ? path : path + "/" + name
      let digest = try inventory.digest(ofFile: file)
      let size = inventory.file(of: digest)?.size ?? 0
      let short = name.isEmpty ? URL(filePath: path).lastPathComponent : name
      files.append(ModelManifest.File(path: short, size: size, sha256: digest))
    }
    do {
      return try blobs.put(try ModelManifest(files: files).canonicalBytes)
    } catch {
      throw PreparationError.model(path: path, what: "\(error)")
    }
  }

  /// The visible files of a model's folder, below it, in name order.
  private func names(in folder: String) throws -> [String] {
    let all = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return all.filter { name in
      var isFolder: ObjCBool = false
      let known = FileManager.default.fileExists(
        atPath: folder + "/" + name, isDirectory: &isFolder)
      let isHidden = name.split(separator: "/").contains { $0.hasPrefix(".") }
      return known && !isFolder.boolValue && !isHidden
    }.sorted()
  }

  /// The imported pool, without answers (eq. 4), ids in the order of the file.
  private func readPool() throws -> [Instruction] {
    let file = settings.data.instructions
    let folder = ImageFolder(settings.data.images)
    var drafts: [InstructionDraft] = []
    var skipped = 0
    for result in InstructionFile(file) {
      let record: InstructionRecord
      switch result {
      case .success(let read): record = read
      case .failure(let problem):
        if problem.isFatal { throw PreparationError.data(problem) }
        log.warning("skipped: \(problem)")
        skipped += 1
        continue
      }
      do {
        let image = try record.image.map { try inventory.digest(ofPicture: $0, in: folder) }
        for (turn, question) in record.questions.enumerated() {
          drafts.append(
            InstructionDraft(
              image: image, text: question, task: record.task,
              lineage: .imported(record: record.name, turn: turn)))
        }
      } catch {
        log.warning("skipped: \(file), record \(record.number): \(error)")
        skipped += 1
      }
    }
    if skipped > 0 { log.warning("\(skipped) records were skipped; `comd data check` lists all") }
    if let limit = settings.data.instructionsLimit, limit < drafts.count {
      var random = SeededRandom(seed: settings.method.seed, "instructions limit")
      let kept = random.shuffled(Array(drafts.indices)).prefix(limit).sorted()
      drafts = kept.map { drafts[$0] }
    }
    let pool = Pools(imported: drafts).cache
    if pool.isEmpty { throw PreparationError.noInstructions(file: file) }
    return pool
  }

  /// An examination as it is scored, and as the models read it.
  private func readExamination(
    _ examination: EvaluationSettings
  ) throws -> (Datasets.EvaluationSet, [Scheduling.EvaluationItem]) {
    let form: EvaluationForm =
      switch examination.name {
      case .scienceqa: .scienceQA
      case .seedBench: .seedBench
      case .llava: .llavaTest
      case .shapes, .exactMatch: .exactMatch
      }
    var set = try readEvaluation(form, at: examination.path)
    if let limit = examination.limit { set.items = Array(set.items.prefix(limit)) }
    let folder = ImageFolder(set.imageFolder)
    let items = try set.items.map { item in
      do throws(DataProblem.Kind) {
        let image = try item.image.map { name throws(DataProblem.Kind) in
          try inventory.digest(ofPicture: name, in: folder)
        }
        return Scheduling.EvaluationItem(image: image, text: item.question)
      } catch {
        throw PreparationError.data(
          DataProblem(file: "\(examination.path), question \(item.name)", error))
      }
    }
    return (set, items)
  }
}
