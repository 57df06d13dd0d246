import Foundation

let jpegStart = Data([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 4, 5])
