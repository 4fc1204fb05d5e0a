/// Base64 (RFC 4648 4) as `xs:base64Binary` has it: white space anywhere, nothing else that is not
/// of its alphabet, and no bits but zeros in what is left over.
enum Base64Text {
    /// Why it is none: at which byte of the text, and what is wrong there.
    struct Flaw: Error {
        var offset: Int
        var words: String
    }

    private static let invalid: UInt8 = 0xFF
    private static let space: UInt8 = 0xFE
    private static let pad: UInt8 = 0xFD

    /// By character.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: invalid, count: 256)
        for (index, digit) in alphabet.enumerated() { values[Int(digit)] = UInt8(index) }
        for blank in [0x20, 0x09, 0x0A, 0x0D] { values[blank] = space }
        values[Int(UInt8(ascii: "="))] = pad
        return values
    }()

    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Four tables, one for each place in a group of four: the digit's bits where they belong.
    /// What is no digit has the highest bit.
    private static let places: [UInt32] = (0..<4).flatMap { place in
        values.map { $0 < 64 ? UInt32($0) << UInt32(18 - 6 * place) : 1 << 31 }
    }

    static func decode(_ text: UnsafeBufferPointer<UInt8>) throws(Flaw) -> [UInt8] {
        var flaw: Flaw?
        // Two whole groups are written as eight bytes, of which the last two are written over.
        let capacity = text.count / 4 * 3 + 8
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            do throws(Flaw) {
                count = try decode(text, into: buffer)
            } catch {
                flaw = error
            }
        }
        if let flaw { throw flaw }
        return bytes
    }

    private static func decode(
        _ text: UnsafeBufferPointer<UInt8>, into buffer: UnsafeMutableBufferPointer<UInt8>
    ) throws(Flaw) -> Int {
        guard let input = text.baseAddress, let output = buffer.baseAddress else { return 0 }
        let (start, end) = (UnsafeRawPointer(input), text.count)
        var (at, written) = (0, 0)
        var flaw: Flaw?
        places.withUnsafeBufferPointer { places in
            let first = places.baseAddress!
            let (second, third, fourth) = (first + 256, first + 512, first + 768)
            values.withUnsafeBufferPointer { values in
                while true {
                    // Two groups at a time: of the second's last byte, a zero, nothing is left.
                    while at &+ 8 <= end {
                        let word = start.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                            .littleEndian
                        let groups = (
                            first[Int(word & 0xFF)] | second[Int(word >> 8 & 0xFF)]
                                | third[Int(word >> 16 & 0xFF)] | fourth[Int(word >> 24 & 0xFF)],
                            first[Int(word >> 32 & 0xFF)] | second[Int(word >> 40 & 0xFF)]
                                | third[Int(word >> 48 & 0xFF)] | fourth[Int(word >> 56)]
                        )
                        guard (groups.0 | groups.1) >> 31 == 0 else { break }
                        UnsafeMutableRawPointer(output + written).storeBytes(
                            of: (UInt64(groups.0) << 40 | UInt64(groups.1) << 16).bigEndian,
                            as: UInt64.self)
                        at &+= 8
                        written &+= 6
                    }
                    // The group has white space in it, is the last, or is wrong.
                    var (digits, group, pads): (Int, UInt32, Int) = (0, 0, 0)
                    while at < end, digits + pads < 4 {
                        let value = values[Int(input[at])]
                        if value == space {
                            at += 1
                            continue
                        }
                        if value == pad, digits >= 2 {
                            pads += 1
                        } else if value < 64, pads == 0 {
                            group = group << 6 | UInt32(value)
                            digits += 1
                        } else {
                            flaw = Flaw(offset: at, words: "byte \(input[at]) is out of place")
                            return
                        }
                        at += 1
                    }
                    guard digits > 0 else { return }
                    guard digits + pads == 4 else {
                        flaw = Flaw(
                            offset: at, words: "it ends after \(digits) of a group of 4 characters")
                        return
                    }
                    group <<= UInt32(6 * pads)
                    guard pads == 0 || group & (pads == 1 ? 0xFF : 0xFFFF) == 0 else {
                        flaw = Flaw(offset: at, words: "bits are left over that are not zero")
                        return
                    }
                    for place in 0..<(3 - pads) {
                        output[written] = UInt8(
                            truncatingIfNeeded: group >> (16 - 8 * UInt32(place)))
                        written += 1
                    }
                    guard pads > 0 else { continue }
                    while at < end, values[Int(input[at])] == space { at += 1 }
                    if at < end {
                        flaw = Flaw(offset: at, words: "there is more after its end")
                    }
                    return
                }
            }
        }
        if let flaw { throw flaw }
        return written
    }

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        bytes.withUnsafeBufferPointer { bytes in
            alphabet.withUnsafeBufferPointer { digits in
                var at = 0
                while at < bytes.count {
                    let left = min(3, bytes.count - at)
                    var group = UInt32(bytes[at]) << 16
                    if left > 1 { group |= UInt32(bytes[at + 1]) << 8 }
                    if left > 2 { group |= UInt32(bytes[at + 2]) }
                    text.append(digits[Int(group >> 18)])
                    text.append(digits[Int(group >> 12 & 63)])
                    text.append(left > 1 ? digits[Int(group >> 6 & 63)] : UInt8(ascii: "="))
                    text.append(left > 2 ? digits[Int(group & 63)] : UInt8(ascii: "="))
                    at += 3
                }
            }
        }
        return text
    }
}
