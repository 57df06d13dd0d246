/// What is true of a scene, as a value; `text` says it.
public enum Answer: Hashable, Sendable {
  case yes
  case no
  case scene(SceneKind)
  case ground(SceneKind)
  case form(Form)
  case colour(Colour)
  case size(Size)
  case object(SceneObject)
  case objectAndPlace(SceneObject)
  case nothing
  case place(Place)
  case outside
  case row(Int)
  case column(Int)
  case number(Int)
  case direction(Direction)
  case letter
  case digit
  case description(Scene)

  init(_ truth: Bool) { self = truth ? .yes : .no }

  public var text: String {
    switch self {
    case .yes: "yes"
    case .no: "no"
    case .scene(let kind): kind.word
    case .ground(let kind): kind.ground
    case .form(let form): form.word
    case .colour(let colour): colour.word
    case .size(let size): size.word
    case .object(let object): object.phrase
    case .objectAndPlace(let object): "\(object.phrase) at the \(object.place.words)"
    case .nothing: "nothing"
    case .place(let place): "at the \(place.words)"
    case .outside: "outside"
    case .row(let row): "the \(Place.rowWords[row]) row"
    case .column(let column): "the \(Place.columnWords[column]) column"
    case .number(let number): numberWords[number]
    case .direction(let direction): direction.word
    case .letter: "letter"
    case .digit: "digit"
    case .description(let scene): scene.caption
    }
  }
}

extension SceneObject {
  /// `a big red circle`
  public var phrase: String { "a \(size.word) \(colour.word) \(form.word)" }
  /// `the red circle`: names the object, as no two have both in common.
  var name: String { "the \(colour.word) \(form.word)" }
}

extension Scene {
  /// The whole truth in one line: place, objects in the order of their cells, then the pairs.
  /// The caption of stage 1 and the answer to a request for a description.
  ///
  /// `the sea : at the top left a big red circle , at the centre right a small green k .`
  public var caption: String {
    let phrases = objects.map { "at the \($0.place.words) \($0.phrase)" }
    var text = "the \(kind.word) : " + phrases.joined(separator: " , ") + " ."
    if let touching {
      text += " \(objects[touching.first].name) touches \(objects[touching.second].name) ."
    }
    for holder in objects {
      if let content = content(of: holder) { text += " \(content.name) is inside \(holder.name) ." }
    }
    return text
  }

  /// The scene for a reader without eyes: for each of the nine cells its words, the place first.
  ///
  /// `["sea", "big", "red", "square", "holding", "small", "blue", "k"]`, `["sea"]`, …; an object
  /// that touches a neighbour adds `touching` and the side.
  public var cellWords: [[String]] {
    Place.all.map { place in
      var words = [kind.word]
      for object in objects(at: place) {
        if object.isInside { words.append("holding") }
        words += [object.size.word, object.colour.word, object.form.word]
        if let other = toucher(of: object),
          let side = Direction.allCases.first(where: { place.neighbour($0) == other.place })
        {
          words += ["touching", side.word]
        }
      }
      return words
    }
  }
}
