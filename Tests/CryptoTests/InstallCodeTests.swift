import Crypto
import Testing
import Wire

@Suite struct InstallCodeTests {
    static let vectors = [
        ("83FED3407A93", "2B70", "CD4FA064773F46941EC986C09963D1A8"),
        ("83FED3407A939738", "C552", "A833A77434F3BFBD7A7AB97942149287"),
        ("83FED3407A939723A5C639B26916D505", "C3B5", "66B6900981E1EE3CA4206B6B861C02BB"),
        ("1122334455667788", "4AF7", "41618FC0C83B0E14A589954B16E31466"),
    ]

    @Test("an install code gives the published CRC and link key", arguments: vectors)
    func linkKey(code: String, crc: String, link: String) throws {
        let made = try #require(InstallCode(hex(code)))
        #expect(made.crc.byteSwapped == UInt16(crc, radix: 16))
        #expect(made.linkKey == key(link))
        #expect(made.description == code + crc)
        #expect(made.bytes == hex(code))
    }

    @Test("text with the CRC and without it is the same code", arguments: vectors)
    func text(code: String, crc: String, link: String) throws {
        let made = try #require(InstallCode(hex(code)))
        #expect(try InstallCode(text: code + crc) == made)
        #expect(try InstallCode(text: code.lowercased()) == made)
        #expect(try InstallCode(text: code.lowercased() + " " + crc) == made)
    }

    @Test("separators between digits do not matter")
    func separators() throws {
        let made = try InstallCode(text: "83FE-D340:7A93 9723 A5C6 39B2 6916 D505 C3B5")
        #expect(made.linkKey == key("66B6900981E1EE3CA4206B6B861C02BB"))
    }

    @Test("any wrong digit of a code with a CRC is noticed", arguments: [8, 12, 16])
    func wrongDigit(length: Int) throws {
        var stream = SeededStream(Seed(UInt64(length)))
        let code = try #require(InstallCode(stream.bytes(length)))
        let text = Array(code.description)
        #expect(text.count == 2 * length + 4)
        for position in text.indices {
            for digit in "0123456789ABCDEF" where digit != text[position] {
                var changed = text
                changed[position] = digit
                #expect(throws: InstallCodeError.self) {
                    try InstallCode(text: String(changed))
                }
            }
        }
    }

    @Test("eight bytes are a short code with its CRC only if the CRC is right")
    func eightBytes() throws {
        #expect(try InstallCode(text: "83FED3407A932B70").bytes == hex("83FED3407A93"))
        #expect(try InstallCode(text: "83FED3407A932B71").bytes == hex("83FED3407A932B71"))
    }

    @Test("text that is no code gives an error that says where or how long")
    func errors() {
        #expect(codeFailure { try InstallCode(text: "83FEX3") } == .notHex(position: 4))
        #expect(codeFailure { try InstallCode(text: "") } == .wrongLength(digits: 0, isMore: false))
        #expect(
            codeFailure { try InstallCode(text: "83F") } == .wrongLength(digits: 3, isMore: false))
        for bytes in [1, 2, 5, 7, 9, 11, 13, 15, 17] {
            let text = String(repeating: "5A", count: bytes)
            #expect(
                codeFailure { try InstallCode(text: text) }
                    == .wrongLength(digits: 2 * bytes, isMore: false))
        }
        let long = String(repeating: "A", count: 100_000)
        #expect(
            codeFailure { try InstallCode(text: long) } == .wrongLength(digits: 37, isMore: true))
        let wrong = codeFailure { try InstallCode(text: "1122334455667788F74A") }
        #expect(wrong == .wrongCRC(given: 0x4AF7, expected: 0xF74A))
        #expect(wrong?.description.contains("F74A") == true)
        #expect(wrong?.description.contains("4AF7") == true)
        #expect(InstallCode([UInt8](repeating: 0, count: 7)) == nil)
    }
}
