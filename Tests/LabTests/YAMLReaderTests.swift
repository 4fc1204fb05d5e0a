import Lab
import Testing
import Wire

@Suite("YAML files")
struct YAMLReaderTests {
    static func field(_ text: String) throws(YAMLError) -> YAMLField {
        try YAMLReader.parse(Array(text.utf8), file: "x.yaml")
    }

    static func refusal(_ text: String, _ read: (YAMLField) throws -> Void) -> String? {
        do {
            try read(try field(text))
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("a value of the wrong type is reported with file, line, column, path and expectation")
    func placesErrors() {
        let text = "images:\n  - id: one\n    version: oops\n"
        let message = Self.refusal(text) { top in
            let images = try top.map(keys: ["images"]).required("images").list()
            _ = try images[0].map(keys: ["id", "version"]).required("version")
                .integer(UInt16.self)
        }
        #expect(
            message
                == "x.yaml:3:14: images[0].version: expected a whole number from 0 to 65535, "
                + "found 'oops'")
    }

    @Test("an unknown field names the likely one, or what is known")
    func suggests() {
        let near = Self.refusal("hardwear: 1") { _ = try $0.map(keys: ["hardware", "id"]) }
        #expect(near == "x.yaml:1:1: hardwear: is not a known field; did you mean 'hardware'?")
        let far = Self.refusal("zzz: 1") { _ = try $0.map(keys: ["hardware", "id"]) }
        #expect(far == "x.yaml:1:1: zzz: is not a known field; known here: hardware, id")
    }

    @Test("a missing field and a field without a value are told apart")
    func missing() {
        let absent = Self.refusal("a: {c: 1}") {
            _ = try $0.map().required("a").map(keys: ["b", "c"]).required("b")
        }
        #expect(absent == "x.yaml:1:4: a: the field 'b' is missing")
        let empty = Self.refusal("a:\n  b:\n") {
            _ = try $0.map().required("a").map(keys: ["b"]).optional("b")
        }
        #expect(empty == "x.yaml:2:3: a.b: has no value; write one or remove the line")
    }

    @Test(
        "whole numbers are decimal or hexadecimal and keep to their range",
        arguments: [
            ("7", 7), ("0x1F", 31), ("0XfF", 255), ("1_000", 1000), ("+3", 3), ("\"12\"", 12),
            ("65535", 65535), ("65536", nil), ("-1", nil), ("0x", nil), ("1.0", nil), ("_1", nil),
            ("1e3", nil), ("99999999999999999999999999999999999999999999", nil), ("[1]", nil),
            ("~", nil), ("0x1G", nil), ("٣", nil),
        ] as [(String, UInt16?)])
    func integers(_ text: String, _ value: UInt16?) throws {
        let field = try Self.field(text)
        #expect((try? field.integer(UInt16.self)) == value)
    }

    @Test(
        "durations need a unit and are exact to the microsecond",
        arguments: [
            ("30 min", 1_800_000_000), ("250 ms", 250_000), ("2s", 2_000_000),
            ("90 d", 7_776_000_000_000), ("7.68 s", 7_680_000), ("24 h", 86_400_000_000),
            ("192 us", 192), ("192 µs", 192), ("0.5 us", nil), ("5", nil), ("s", nil),
            ("-1 s", nil), ("1..2 s", nil), ("1. s", nil), ("9223372036854775807 d", nil),
            ("2 weeks", nil), ("1.0000000001 s", nil), (".5 s", nil),
        ] as [(String, Int64?)])
    func durations(_ text: String, _ microseconds: Int64?) throws {
        let field = try Self.field(text)
        #expect((try? field.duration())?.microseconds == microseconds)
    }

    @Test(
        "moments are UTC with a Z and exist in the calendar",
        arguments: [
            ("2000-01-01T00:00:00Z", 0), ("2021-11-04T12:30:15Z", 689_344_215),
            ("2024-02-29T00:00:00Z", 762_480_000), ("2136-02-07T06:28:15Z", UInt32.max),
            ("2136-02-07T06:28:16Z", nil), ("2023-02-29T00:00:00Z", nil),
            ("2100-02-29T00:00:00Z", nil), ("1999-12-31T23:59:59Z", nil),
            ("2021-11-04T12:30:15", nil), ("2021-11-04", nil), ("2021-13-04T12:30:15Z", nil),
            ("2021-11-04T24:30:15Z", nil),
        ] as [(String, UInt32?)])
    func dates(_ text: String, _ seconds: UInt32?) throws {
        let field = try Self.field(text)
        #expect((try? field.date())?.secondsSince2000 == seconds)
    }

    enum Fruit: String, CaseIterable { case apple, pear }

    @Test("a choice is one of its words, and a slip is corrected")
    func choices() throws {
        #expect(try Self.field("pear").choice(Fruit.self) == .pear)
        let message = Self.refusal("aple") { _ = try $0.choice(Fruit.self) }
        #expect(
            message
                == "x.yaml:1:1: expected one of apple, pear, found 'aple'; did you mean 'apple'?"
        )
    }

    @Test("true and false are booleans; yes, on and 1 are not")
    func booleans() throws {
        #expect(try Self.field("true").boolean())
        #expect(try !Self.field("false").boolean())
        for text in ["yes", "on", "1", "True", "[]"] {
            #expect(throws: YAMLError.self) { try Self.field(text).boolean() }
        }
    }

    @Test("an address of decimal digits only is read as it stands")
    func addresses() throws {
        #expect(try Self.field("0012345678900456").eui64() == EUI64(0x0012_3456_7890_0456))
        #expect(try Self.field("00-DB-12-34-56-78-90-A4").eui64() == EUI64(0x00DB_1234_5678_90A4))
        #expect(throws: YAMLError.self) { try Self.field("00DB").eui64() }
    }

    @Test(
        "anchors and aliases are refused before anything is expanded",
        arguments: [
            "a: &x 1\nb: *x\n", "a: [&x 1, *x]", "{a:&x 1}", "? &x a\n: *x\n", "- !!str &x y",
            "a: \"q\"\nb: &y\n  - 1\n", "\"\n# \" : &x 1\n", "# c\u{85}a: &x 1",
            "a: &a [x,x,x,x]\nb: &b [*a,*a,*a]\n? [*b,*b,*b]\n: 1\n",
        ])
    func refusesAnchors(_ text: String) {
        let message = Self.refusal(text) { _ in }
        #expect(message?.contains("anchors and aliases") == true)
    }

    @Test("signs within text and in comments are not taken for anchors")
    func ampersandsInText() throws {
        let text = "# see *this* & that, 5 µs\na: R&D & more\nb: 2 * 3\nc: trace.*\n"
        let map = try Self.field(text).map(keys: ["a", "b", "c"])
        #expect(try map.required("a").text() == "R&D & more")
        #expect(try map.required("b").text() == "2 * 3")
        #expect(try map.required("c").text() == "trace.*")
    }

    @Test("broken YAML names the line and what the parser found")
    func brokenSyntax() {
        #expect(
            Self.refusal("a: 1\nb: [2\n") { _ in }?.hasPrefix("x.yaml:3:1: not valid YAML") == true)
        #expect(
            Self.refusal("a: 1\nb: 2\na: 3\n") { _ in }
                == "x.yaml:1:1: the key 'a' stands here more than once")
        #expect(Self.refusal("") { _ = try $0.map() }?.contains("empty") == true)
        #expect(Self.refusal("--- 1\n--- 2\n") { _ in }?.contains("document") == true)
        #expect(
            throws: YAMLError.self,
            performing: { try YAMLReader.parse([0xFF, 0xFE, 0], file: "x") })
    }

    @Test("a file that is too large or too deep is refused")
    func bounds() {
        let large = [UInt8](repeating: UInt8(ascii: "#"), count: YAMLReader.maximumSize + 1)
        #expect(throws: YAMLError.self) { try YAMLReader.parse(large, file: "x") }
        let within = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(Self.refusal(within) { _ in } == nil)
        let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
        #expect(Self.refusal(deep) { _ in }?.contains("levels deep") == true)
        for pattern in ["[", "- ", "? ", "{", "a: ", "{a: ", "\"", "|\n", "!", "%"] {
            let text = String(repeating: pattern, count: (1 << 20) / pattern.utf8.count)
            #expect(Self.refusal(text) { _ = try $0.map() } != nil, "\(pattern)")
        }
    }

    @Test("any bytes give a value or an error")
    func anyBytes() throws {
        let seed = "images:\n  - {id: 'one', n: [1, 2], t: \"a\\x41\"}\n  - |\n   text\n# end\n"
        var stream = SeededStream(Seed(1).named("yaml"))
        let alphabet = Array("[]{},:-?!|>%@`'\"#\n \t~\\0a\u{85}\u{2028}".utf8) + [0, 0xFF, 0xC0]
        var parsed = 0
        for _ in 0..<4000 {
            var bytes = Array(seed.utf8)
            for _ in 0...stream.below(6) {
                let index = Int(stream.below(UInt64(bytes.count)))
                let byte = alphabet[Int(stream.below(UInt64(alphabet.count)))]
                switch stream.below(3) {
                case 0: bytes[index] = byte
                case 1: bytes.insert(byte, at: index)
                default: if bytes.count > 1 { bytes.remove(at: index) }
                }
            }
            if (try? YAMLReader.parse(bytes, file: "x")) != nil { parsed += 1 }
        }
        #expect(parsed > 0 && parsed < 4000)
    }

    @Test("a byte order mark before the text is passed over, and counts for no column")
    func byteOrderMark() throws {
        let field = try YAMLReader.parse([0xEF, 0xBB, 0xBF] + Array("a: 1\nb: x".utf8), file: "f")
        let map = try field.map(keys: ["a", "b"])
        #expect(try map.required("a").integer(Int.self) == 1)
        #expect(throws: YAMLError.self) { try map.required("b").integer(Int.self) }
        #expect(try map.required("a").line == 1)
    }
}
