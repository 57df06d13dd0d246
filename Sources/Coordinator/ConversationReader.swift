import Datasets
import Domain
import Logging
import Settings

/// Stage 1's material where the settings name dialogues: they are learnt as they are.
struct ConversationReader {
  let inventory: Inventory
  let log: Logger

  /// In the order of the file.
  func conversations(of file: String, pictures: String) throws -> [Conversation] {
    let folder = ImageFolder(pictures)
    var conversations: [Conversation] = []
    for result in ConversationFile(file) {
      let record: ConversationRecord
      switch result {
      case .success(let read): record = read
      case .failure(let problem): throw PreparationError.data(problem)
      }
      do {
        let image = try record.image.map { try inventory.digest(ofPicture: $0, in: folder) }
        conversations.append(
          Conversation(image: image, placement: record.placement, turns: record.turns))
      } catch {
        log.warning("skipped: \(file), record \(record.number): \(error)")
      }
    }
    try inventory.save()
    return conversations
  }
}
