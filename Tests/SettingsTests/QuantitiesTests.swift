import Settings
import Testing

@Suite("A quantity")
struct QuantitiesTests {
  @Test("of bytes is read with its unit")
  func bytes() {
    #expect(Int64(writtenBytes: "8GiB") == 8 << 30)
    #expect(Int64(writtenBytes: "1.5 KiB") == 1_536)
    #expect(Int64(writtenBytes: "20MB") == 20_000_000)
    #expect(Int64(writtenBytes: "512") == 512)
    for wrong in ["", "GiB", "-1", "8 gib", "1.5", "1e3", "9999999999TiB", "8GiBs", "1.2.3MB"] {
      #expect(Int64(writtenBytes: wrong) == nil, "\(wrong)")
    }
  }

  @Test("of time is read with its unit, and written back the same")
  func times() {
    #expect(Duration(written: "250ms") == .milliseconds(250))
    #expect(Duration(written: "1.5s") == .milliseconds(1_500))
    #expect(Duration(written: "2m") == .seconds(120))
    for wrong in ["", "10", "s", "-1s", "1d", "nans", "1e3s", "99999999999h"] {
      #expect(Duration(written: wrong) == nil, "\(wrong)")
    }
    for text in ["0s", "1ms", "999ms", "1s", "1500ms", "90s", "2m", "3h"] {
      #expect(Duration(written: text)?.written == text)
    }
  }

  @Test("of edits counts insertions, deletions, replacements and swaps")
  func edits() {
    #expect(editDistance("", "abc") == 3)
    #expect(editDistance("kitten", "sitting") == 3)
    #expect(editDistance("ab", "ba") == 1)
    #expect(editDistance("same", "same") == 0)
    #expect(nearest(to: "iteratoins", among: ["threshold", "iterations"]) == "iterations")
    #expect(nearest(to: "x", among: ["iterations"]) == nil)
  }
}
