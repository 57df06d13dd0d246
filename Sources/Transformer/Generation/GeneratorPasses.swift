import Formats
import Kernels

// MARK: - Prompts

extension Generator {
  /// A prompt whose pictures are at hand.
  /// - Throws: `InputError`, and what loading a picture throws.
  func prompt(of input: ModelInput) throws -> Prompt {
    for piece in input.pieces {
      try piece.check(
        pictures: input.images.count, canSee: tower != nil, vocabulary: model.text.vocabularySize)
    }
    var prompt = Prompt()
    for piece in input.pieces {
      switch piece {
      case .token(let token): prompt.append(token)
      case .image(let index):
        let picture = try picture(input.images[index])
        prompt.append(picture, number: pictures.number(of: picture.key))
      }
    }
    return prompt
  }

  private func picture(_ image: ModelImage) throws -> Prompt.Picture {
    guard let tower else { throw InputError.cannotSee }
    if let key = image.key, let kept = features.features(of: key) {
      return Prompt.Picture(
        key: key, rows: kept.lines.rows, source: .projected(kept.features))
    }
    let pixels = try image.load()
    let grid = try tower.llava.grid(of: pixels)
    return Prompt.Picture(
      key: image.key, rows: tower.llava.lines(of: grid).rows, source: .pixels(pixels, grid))
  }

  /// (rows, columns): the embeddings of a picture.
  private func projected(_ picture: Prompt.Picture) -> Floats {
    guard let tower, let projector else { preconditionFailure("admitted without a tower") }
    switch picture.source {
    case .projected(let kept): return kept
    case .pixels(let pixels, let grid):
      if let key = picture.key, let kept = features.features(of: key) {
        return kept.features
      }
      let lines = tower.llava.lines(of: grid)
      let projected = Floats(zeros: picture.rows * projector.outputs)
      arena.scope {
        let state = tower.forward([pixels], grids: [grid], keepsLayers: false)
        let selected = arena.floats(lines.features * tower.columns)
        tower.selectFeatures(into: selected, state.output, [grid])
        projector.embed(selected, lines, into: projected)
      }
      counts.pictures += 1
      if let key = picture.key { features.keep(projected, lines, of: key) }
      return projected
    }
  }

  /// The rows of a prompt behind those computed; a picture may be cut.
  ///
  /// - Parameter x: (rows, columns), overwritten.
  private func embedPrompt(_ place: Int, into x: Floats) {
    let columns = decoder.columns
    let wanted = requests[place].length..<requests[place].length + x.count / columns
    var row = 0
    for (index, part) in requests[place].prompt.parts.enumerated() {
      let rows = row..<row + part.rows
      row = rows.upperBound
      guard rows.overlaps(wanted) else { continue }
      let taken = rows.clamped(to: wanted)
      func values(_ range: Range<Int>, from first: Int) -> Range<Int> {
        (range.lowerBound - first) * columns..<(range.upperBound - first) * columns
      }
      let target = x[values(taken, from: wanted.lowerBound)]
      switch part {
      case .token(let token): decoder.embed([token], into: target)
      case .picture(var picture):
        let embeddings = projected(picture)
        target.copy(from: embeddings[values(taken, from: rows.lowerBound)])
        // The next chunk may need the rest.
        picture.source = .projected(embeddings)
        requests[place].prompt.replace(part: index, with: picture)
      }
    }
  }
}

// MARK: - Passes

extension Generator {
  /// All layers over the parts' rows, then a token for each request whose prompt has been read.
  /// - Returns: the answers that are complete.
  func run(_ parts: [StepScheduler.Part]) -> [(id: Int, answer: GeneratedAnswer)] {
    guard !parts.isEmpty else { return [] }
    arena.reset()
    let columns = decoder.columns
    let x = arena.floats(parts.reduce(0) { $0 + $1.rows } * columns)
    batch.removeAll()
    positions.removeAll(keepingCapacity: true)
    var foreseen: [(place: Int, row: Int32)] = []
    for part in parts {
      guard let place = place(of: part.id) else { preconditionFailure("no request \(part.id)") }
      let first = positions.count
      let rows = x[first * columns..<(first + part.rows) * columns]
      if requests[place].isReading {
        embedPrompt(place, into: rows)
      } else {
        decoder.embed(requests[place].tokens.suffix(1), into: rows)
      }
      let start = Int32(requests[place].length)
      positions.append(contentsOf: start..<start + Int32(part.rows))
      extend(place, by: part.rows)
      batch.append(
        pages: requests[place].memory, length: requests[place].length, newRows: part.rows)
      if !requests[place].isReading { foreseen.append((place, Int32(positions.count - 1))) }
    }
    let output = runLayers(x)
    for part in parts {
      guard let place = place(of: part.id) else { continue }
      if requests[place].tokens.isEmpty { share(place) }
    }
    return draw(foreseen, from: output)
  }

  /// - Parameter x: (rows, columns), overwritten.
  /// - Returns: (rows, columns), what left the last layer.
  private func runLayers(_ x: Floats) -> Floats {
    var (current, next) = (x, arena.floats(x.count))
    for index in decoder.weights.layers.indices {
      let shape = decoder.attention(in: index).shape
      arena.scope {
        _ = decoder.forward(index, current, into: next, positions: positions) { out, q, k, v in
          attentionOverPages(
            into: out, q: q, k: k, v: v, batch, layer: index, shape, on: compute)
        }
      }
      swap(&current, &next)
    }
    return current
  }

  /// A token for each of the requests from its last row.
  private func draw(
    _ foreseen: [(place: Int, row: Int32)], from x: Floats
  ) -> [(id: Int, answer: GeneratedAnswer)] {
    guard !foreseen.isEmpty else { return [] }
    let last = arena.floats(foreseen.count * decoder.columns)
    gatherRows(into: last, x, ids: foreseen.map(\.row), columns: decoder.columns)
    let vocabulary = model.text.vocabularySize
    let logits = arena.floats(foreseen.count * vocabulary)
    decoder.head(last, into: logits, rows: foreseen.count)
    var best = [Int32](repeating: 0, count: foreseen.count)
    argmaxRows(into: &best, logits, columns: vocabulary, on: compute)
    var complete: [(id: Int, answer: GeneratedAnswer)] = []
    for (index, (place, _)) in foreseen.enumerated() {
      let token = requests[place].sampler.draw(
        logits[index * vocabulary..<(index + 1) * vocabulary], best: best[index], &weights)
      requests[place].prompt.removeParts()
      if let stop = requests[place].accept(token, contextMax: contextMax) {
        let request = requests[place]
        complete.append(
          (
            request.id,
            GeneratedAnswer(
              tokens: request.tokens, stop: stop, promptTokens: request.prompt.rows)
          ))
      }
    }
    return complete
  }
}
