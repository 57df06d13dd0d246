import Foundation

/// A line of a chart: a name and a value for each place that it has one for.
struct ChartLine {
  var name: String
  var points: [(x: Double, y: Double)]
}

/// Lines over iterations as inline SVG; colours come from the page's classes `s0`, `s1`, ….
///
/// - Parameters:
///   - top: the upper end of the y axis; nil takes a round number above all values.
///   - tick: how a value of the y axis is written.
func lineChart(
  _ title: String, _ lines: [ChartLine], top: Double? = nil, tick: (Double) -> String
) -> String {
  let frame = ChartFrame()
  let all = lines.flatMap(\.points)
  guard let left = all.map(\.x).min(), let right = all.map(\.x).max() else { return "" }
  let upper = top ?? roundedUp(all.map(\.y).max() ?? 1)
  func x(_ value: Double) -> Double {
    frame.left + (right > left ? (value - left) / (right - left) : 0.5) * frame.plotWidth
  }
  var body = frame.axis(upper: upper, tick: tick)
  for value in stride(from: left, through: right, by: 1) {
    body += text(short: "\(Int(value))", x: x(value), y: frame.bottom + 18, anchor: "middle")
  }
  for (index, line) in lines.enumerated() {
    let places = line.points.map { point in
      (x(point.x), frame.y(point.y, upper: upper))
    }
    let path = places.map { String(format: "%.1f,%.1f", $0.0, $0.1) }.joined(separator: " ")
    body += "<polyline class=\"line s\(index % 8)\" points=\"\(path)\"/>"
    for (place, point) in zip(places, line.points) {
      body += String(
        format: "<circle class=\"dot s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\">",
        index % 8, place.0, place.1)
      body += "<title>\(escaped(line.name)): \(tick(point.y))</title></circle>"
    }
  }
  return figure(title, frame, body, legend: lines.map(\.name))
}

/// Groups of bars as inline SVG: one group for each label, one bar for each name.
func barChart(
  _ title: String, labels: [String], names: [String], values: [[Double]],
  tick: (Double) -> String
) -> String {
  let frame = ChartFrame()
  guard !labels.isEmpty, !names.isEmpty else { return "" }
  let upper = roundedUp(values.joined().max() ?? 1)
  var body = frame.axis(upper: upper, tick: tick)
  let group = frame.plotWidth / Double(labels.count)
  let bar = group * 0.8 / Double(names.count)
  for (place, label) in labels.enumerated() {
    let start = frame.left + Double(place) * group + group * 0.1
    for (index, value) in values[place].enumerated() {
      let top = frame.y(value, upper: upper)
      body += String(
        format: "<rect class=\"bar s%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">",
        index % 8, start + Double(index) * bar, top, max(1, bar - 1), frame.bottom - top)
      body += "<title>\(escaped(names[index])): \(tick(value))</title></rect>"
    }
    body += text(short: label, x: start + group * 0.4, y: frame.bottom + 18, anchor: "middle")
  }
  return figure(title, frame, body, legend: names)
}

/// The place of the plot within its picture, in user units.
private struct ChartFrame {
  let width = 640.0, height = 300.0
  let left = 56.0, right = 624.0, top = 16.0, bottom = 264.0
  var plotWidth: Double { right - left }

  func y(_ value: Double, upper: Double) -> Double {
    bottom - (upper > 0 ? min(1, max(0, value / upper)) : 0) * (bottom - top)
  }

  /// Four grid lines with their values.
  func axis(upper: Double, tick: (Double) -> String) -> String {
    (0...4).map { step in
      let value = upper * Double(step) / 4
      let y = y(value, upper: upper)
      return String(
        format: "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>",
        left, right, y, y) + text(short: tick(value), x: left - 8, y: y + 4, anchor: "end")
    }.joined()
  }
}

private func text(short: String, x: Double, y: Double, anchor: String) -> String {
  String(format: "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"\(anchor)\">", x, y)
    + escaped(short) + "</text>"
}

private func figure(_ title: String, _ frame: ChartFrame, _ body: String, legend: [String])
  -> String
{
  let names = legend.enumerated().map { index, name in
    "<span class=\"key\"><i class=\"s\(index % 8)\"></i>\(escaped(name))</span>"
  }
  return """
    <figure><figcaption>\(escaped(title))</figcaption>
    <svg viewBox="0 0 \(Int(frame.width)) \(Int(frame.height))" role="img">\(body)</svg>
    <div class="legend">\(names.joined())</div></figure>
    """
}

/// The next of 1, 2, 2.5, 5 times a power of ten at or above a value.
private func roundedUp(_ value: Double) -> Double {
  guard value > 0, value.isFinite else { return 1 }
  let power = pow(10, log10(value).rounded(.down))
  return [1, 2, 2.5, 5, 10].map { $0 * power }.first { $0 >= value * (1 - 1e-9) } ?? 10 * power
}

/// Text that is safe between tags and in quoted attributes.
func escaped(_ text: String) -> String {
  var result = ""
  for character in text {
    switch character {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    case _: result.append(character)
    }
  }
  return result
}
