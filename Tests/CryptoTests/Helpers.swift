import Foundation
import Wire

/// The bytes that `text` spells; a test's own constant, so anything else is the test's mistake.
func hex(_ text: String) -> [UInt8] {
    guard let bytes = Hex.bytes(text.filter { $0 != " " }) else {
        fatalError("not hex: \(text)")
    }
    return bytes
}
