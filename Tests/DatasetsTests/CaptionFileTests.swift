import Datasets
import Foundation
import TestSupport
import Testing

@Suite("A caption file")
struct CaptionFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func pairs(_ name: String, _ text: String) throws -> [[String]] {
    try CaptionFile(folder.write(name, text)).map { next in
      let record = try next.get()
      return [record.image, record.caption]
    }
  }

  private func problems(_ name: String, _ text: String) throws -> [DataProblem] {
    try CaptionFile(folder.write(name, text)).compactMap {
      if case .failure(let problem) = $0 { problem } else { nil }
    }
  }

  @Test("may be JSON: pairs, BLIP's, or LLaVA's conversations")
  func json() throws {
    let found = try pairs(
      "a.json",
      """
      [{"image": "1.jpg", "caption": " A dog . "}, {"image": "2.jpg", "blip_caption": "A cat"},
       {"image": "3.jpg", "id": "x", "conversations": [
         {"from": "human", "value": "Describe.\\n<image>"}, {"from": "gpt", "value": "An owl"}]}]
      """)
    #expect(found == [["1.jpg", "A dog ."], ["2.jpg", "A cat"], ["3.jpg", "An owl"]])
    #expect(
      try pairs("a.jsonl", "{\"image\": \"1.jpg\", \"caption\": \"A dog\"}\n")
        == [["1.jpg", "A dog"]])
  }

  @Test("may be comma-separated values with quoted fields, in any order of columns")
  func csv() throws {
    let found = try pairs(
      "captions.txt",
      "\u{feff}caption,id,image\r\n\"A dog , a \"\"red\"\" ball\",1,1.jpg\r\n\n"
        + "\"two\nlines\",2,2.jpg\nplain,3,3.jpg")
    #expect(
      found == [
        ["1.jpg", "A dog , a \"red\" ball"], ["2.jpg", "two\nlines"], ["3.jpg", "plain"],
      ])
  }

  @Test("tells bad records with their numbers")
  func bad() throws {
    let rows = try problems(
      "a.csv", "image,caption\n1.jpg,A dog\n2.jpg,A dog, a ball\n3.jpg, \n,A cat\n4.jpg,fine\n")
    #expect(rows.map(\.kind) == [.columns(3, expected: 2), .emptyCaption, .missing("image")])
    #expect(rows.map(\.record) == [2, 3, 4])
    #expect(rows.map(\.line) == [3, 4, 5])
    let objects = try problems(
      "a.json",
      "[{\"image\": \"a\"}, {\"caption\": \"a\"}, {\"image\": \"a\", \"caption\": \"\"}]")
    #expect(objects.map(\.kind) == [.missing("caption"), .missing("image"), .emptyCaption])
    #expect(
      try problems("b.csv", "image,text\n1,2\n").map(\.kind)
        == [.missing("the column `caption`")])
    #expect(try problems("c.csv", "image,caption\n").map(\.kind) == [.noRecords])
    #expect(try problems("d.csv", "").map(\.kind) == [.noRecords])
    #expect(
      try problems("e.csv", "image,caption\n1,\"open\n2,b\n").map(\.kind) == [.unclosedQuote])
  }

  @Test("reads Flickr8k's captions", .needs(.data))
  func flickr() throws {
    let file = try Provision.data.path("flickr8k_1000/captions.txt")
    let found = try CaptionFile(file).map { try $0.get() }
    #expect(found.count == 5000)
    #expect(Set(found.map(\.image)).count == 1000)
    #expect(
      found.contains {
        $0.caption == "A dog shakes its head near the shore , a red ball next to it ."
      })
  }
}
