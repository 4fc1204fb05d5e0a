import DCC
import GBCS
import DUIS
import Foundation
import Testing
import Wire

@Suite("Hostile requests")
struct HostileTests {
    static let update = Samples.requests[0]

    static let signed: String = (try? Samples.signed(update)).map { Samples.text($0) } ?? ""

    private func refused(
        _ text: String, _ situation: ResponseCodes.Situation, _ words: String,
        _ reader: DUISReader = Parties.reader
    ) {
        let found = refusal(Array(text.utf8), reader)
        #expect(found?.situation == situation, "\(found?.detail ?? "read")")
        #expect(
            words.isEmpty || found?.detail.contains(words) == true, "\(found?.detail ?? "read")")
    }

    @Test("a document with a DOCTYPE is refused at once, whatever is in it")
    func doctypes() {
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        let bomb =
            "<!DOCTYPE a [<!ENTITY a0 'ha'>"
            + (1...20).map { "<!ENTITY a\($0) '&a\($0 - 1);&a\($0 - 1);&a\($0 - 1);'>" }.joined()
            + "]>"
        for doctype in [
            bomb, "<!DOCTYPE a>", "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
            "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
            "<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://127.0.0.1:1/x'> %x;]>",
        ] {
            let text = Self.signed.replacing(declaration, with: declaration + doctype)
            #expect(text != Self.signed)
            refused(text, .malformed, "line 2: the document has a DOCTYPE")
            let used = text.replacing("ACDCACDC", with: "&a20;")
            refused(used, .malformed, "the document has a DOCTYPE")
        }
        refused(Self.signed.replacing("ACDCACDC", with: "&x;"), .malformed, "no XML")
    }

    @Test("XInclude and stylesheets are not followed")
    func inclusion() {
        refused(
            Self.signed.replacing(
                "<sr:FirmwareVersion>",
                with: "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' "
                    + "href='file:///etc/passwd' parse='text'/><sr:FirmwareVersion>"),
            .malformed, "found 'include' of the namespace 'http://www.w3.org/2001/XInclude'")
        refused(
            Self.signed.replacing(
                "<sr:Request", with: "<?xml-stylesheet href='file:///etc/passwd'?><sr:Request"),
            .badSignature, "the signature is wrong")
    }

    @Test("elements deep in each other, and many of them, are refused within bounds")
    func depth() {
        let deep = String(repeating: "<sr:a>", count: 100_000)
        refused(
            Samples.text(Samples.unsigned(body: deep)), .malformed, "more than 64 deep",
            Parties.lenient)
        let wide = String(repeating: "<sr:a/>", count: 60_000)
        let comments = String(repeating: "<!---->", count: 60_000)
        let sections = String(repeating: "<![CDATA[a]]>", count: 60_000)
        for many in [wide, comments, sections] {
            refused(
                Samples.text(Samples.unsigned(body: many)), .malformed, "more than 50000 parts",
                Parties.lenient)
        }
        let attributes = (0..<20_000).map { " a\($0)=''" }.joined()
        refused(
            Samples.text(Samples.unsigned(body: "<sr:a\(attributes)/>")), .malformed,
            "equals signs", Parties.lenient)
    }

    @Test("so many namespaces that a canonicalisation would never end are refused")
    func namespaces() {
        let spaces = (0..<100).map { " xmlns:a\($0)='urn:\($0)'" }.joined()
        refused(
            Samples.text(Samples.unsigned(body: "<sr:DisplayMessage\(spaces)/>")), .malformed,
            "more than 64 namespaces", Parties.lenient)
    }

    @Test("a document over the limit is refused unread, and so is an image over the schema's")
    func size() {
        let small = DUISReader(signatures: .ignored, maximumSize: 1_000)
        refused(
            Samples.text([UInt8](repeating: 0x20, count: 1_001)), .tooLarge,
            "1001 bytes; at most 1000", small)
        let image = String(repeating: "AAAA", count: 3_413_334)
        refused(
            Samples.text(Samples.unsigned(body: Self.body(image: image))), .malformed,
            "FirmwareImage (line 9): 10240002 bytes; at most 10240000", Parties.lenient)
        let fits = Self.body(image: String(image.dropLast(4)))
        #expect(refusal(Samples.unsigned(body: fits), Parties.lenient) == nil)
    }

    static func body(
        image: String = "AAAA", version: String = "1", list: String = "00-DB-12-34-56-78-90-A0"
    ) -> String {
        """
        <sr:UpdateFirmware><sr:FirmwareImage>\(image)</sr:FirmwareImage>\
        <sr:FirmwareVersion>\(version)</sr:FirmwareVersion>\
        <sr:DeviceIDList>\(list)</sr:DeviceIDList></sr:UpdateFirmware>
        """
    }

    @Test("50,000 devices are read, and 50,001 are more than the schema's list has room for")
    func devices() throws {
        func list(_ count: Int) -> [UInt8] {
            let ids = (0..<UInt64(count)).map { EUI64(0x00DB_1234_5678_0000 + $0).dashed }
            return Samples.unsigned(body: Self.body(list: ids.joined(separator: ",")))
        }
        guard
            case .updateFirmware(let update) = try Parties.lenient.request(list(50_000)).request
                .body
        else {
            Issue.record("not an 11.1")
            return
        }
        #expect(update.devices.count == 50_000)
        #expect(update.devices.last == EUI64(0x00DB_1234_5678_C34F))
        let refused = try #require(refusal(list(50_001), Parties.lenient))
        #expect(refused.situation == .malformed)
        #expect(refused.detail.contains("1200023 characters"))
        #expect(refused.detail.contains("50000 devices"))
        #expect(refused.header.id == Samples.id())
    }

    @Test(
        "an id that is none is named by its place in the list",
        arguments: [
            ("00-DB-12-34-56-78-90-A0,", 2),
            ("00-DB-12-34-56-78-90-A0, 00-DB-12-34-56-78-90-A1", 2),
            (" 00-DB-12-34-56-78-90-A0", 1), ("00-DB-12-34-56-78-90-AG", 1),
            ("00-DB-12-34-56-78-90-A0,00:DB-12-34-56-78-90-A1", 2),
            ("00-DB-12-34-56-78-90-A0;00-DB-12-34-56-78-90-A1", 1),
            ("00-DB-12-34-56-78-90-A0,00-DB-12-34-56-78-90-A1,00DB1234567890A2AAAAAAA", 3),
            ("00-DB-12-34-56-78-90-A\u{E0}", 1),
        ])
    func badIDs(list: String, entry: Int) {
        refused(
            Samples.text(Samples.unsigned(body: Self.body(list: list))), .malformed,
            "DeviceIDList (line 9): entry \(entry) is no EUI-64", Parties.lenient)
    }

    @Test("of a long list each character counts, wherever it stands")
    func longLists() throws {
        var random = SeededStream(Seed(7).named("ids"))
        let ids = (0..<150).map { _ in EUI64(random.next()) }
        let list = Array(ids.map(\.dashed).joined(separator: ",").utf8)
        func read(_ list: [UInt8]) -> [EUI64]? {
            let bytes = Samples.unsigned(
                body: Self.body(list: String(decoding: list, as: UTF8.self)))
            guard
                case .updateFirmware(let update)? =
                    try? Parties.lenient.request(bytes).request.body
            else { return nil }
            return update.devices
        }
        #expect(read(list) == ids)
        #expect(read(String(decoding: list, as: UTF8.self).lowercased().utf8.map(\.self)) == ids)
        for place in list.indices {
            let isSign = place % 3 == 2
            // The neighbours of the digits and the letters, and what is right elsewhere.
            let wrong = Array((isSign ? "0A./" : "-,/:@G`g").utf8)
            var changed = list
            changed[place] = wrong[place / 24 % wrong.count]
            let refused = refusal(
                Samples.unsigned(body: Self.body(list: String(decoding: changed, as: UTF8.self))),
                Parties.lenient)
            #expect(
                refused?.detail.contains("entry \(place / 24 + 1) is no EUI-64") == true,
                "character \(place): \(refused?.detail ?? "read")")
            guard !isSign else { continue }
            changed[place] =
                list[place] == UInt8(ascii: "7") ? UInt8(ascii: "d") : UInt8(ascii: "7")
            var expected = ids
            expected[place / 24] = try #require(
                EUI64(String(decoding: changed[(place / 24 * 24)...].prefix(23), as: UTF8.self)))
            #expect(read(changed) == expected, "character \(place)")
        }
    }

    @Test(
        "base64 may have white space anywhere and nothing else that is not its own",
        arguments: [
            ("", []), (" ", []), ("AAEC", [0, 1, 2]), ("A A\tE\nC", [0, 1, 2]),
            ("AAEC\r\nAAEC", [0, 1, 2, 0, 1, 2]), ("AAE&#13;\nC", [0, 1, 2]), ("AAE=", [0, 1]),
            ("AA=\n= ", [0]), ("+/+/", [0xFB, 0xFF, 0xBF]), ("A<!-- x -->AEC", [0, 1, 2]),
            ("<![CDATA[AAEC]]>", [0, 1, 2]), ("AAE", nil), ("A", nil), ("AAEC=", nil),
            ("====", nil), ("=", nil), ("A===", nil), ("AA=A", nil), ("AAF=", nil), ("AB==", nil),
            ("AA==AAEC", nil), ("AA*C", nil), ("AA-_", nil), ("AAÄC", nil), ("<sr:a/>", nil),
            ("AAECAAECAAEC!", nil),
        ] as [(String, [UInt8]?)])
    func base64(text: String, bytes: [UInt8]?) throws {
        let document = Samples.unsigned(body: Self.body(image: text))
        guard let bytes else {
            let refused = try #require(refusal(document, Parties.lenient))
            #expect(refused.situation == .malformed)
            #expect(refused.detail.contains("Request/Body/UpdateFirmware/FirmwareImage (line "))
            return
        }
        guard
            case .updateFirmware(let update) = try Parties.lenient.request(document).request.body
        else { return }
        #expect(update.image == bytes)
    }

    @Test("elements in the wrong order, too few, too many or of another namespace are named")
    func order() {
        func refused(_ body: String, _ words: String) {
            self.refused(
                Samples.text(Samples.unsigned(body: body)), .malformed, words, Parties.lenient)
        }
        refused(
            "<sr:UpdateFirmware><sr:FirmwareVersion>1</sr:FirmwareVersion></sr:UpdateFirmware>",
            "found 'FirmwareVersion' (line 9), expected FirmwareImage")
        refused("<sr:UpdateFirmware/>", "it ends where FirmwareImage is expected")
        refused(Self.body() + Self.body(), "where nothing more may follow")
        refused("", "it ends where a request's own element is expected")
        refused("x" + Self.body(), "found the text 'x' where only elements may stand")
        refused(
            Self.body().replacing("<sr:FirmwareVersion>", with: "<sr:FirmwareVersion a='1'>"),
            "an attribute 'a'")
        refused(
            Self.body().replacing("sr:FirmwareVersion>", with: "FirmwareVersion>"),
            "found 'FirmwareVersion' without a namespace")
        refused(Self.body(version: ""), "found '', expected 1 to 8 characters")
        refused(Self.body(version: "123456789"), "expected 1 to 8 characters")
        refused(
            "<sr:UpdateInventory><sr:DeviceID>00-DB-12-34-56-78-90-A0</sr:DeviceID>"
                + "<sr:DeleteDevice> "
                + "</sr:DeleteDevice></sr:UpdateInventory>", "is to be empty")
        let other = Self.signed.replacing("ServiceUserGateway", with: "SomebodyElse")
        self.refused(other, .malformed, "expected Request of the namespace")
        let header = Self.signed.replacing("<sr:CommandVariant>8", with: "<sr:CommandVariant>10")
        self.refused(header, .malformed, "found '10', expected a whole number from 1 to 9")
    }

    @Test(
        "an addition without an install code says what is missing, and one for later is not taken")
    func addition() {
        let device = "<sr:DeviceID>00-DB-12-34-56-78-90-A0</sr:DeviceID>"
        refused(
            Samples.text(
                Samples.unsigned(
                    body: "<sr:UpdateHANDeviceLog>\(device)<sr:RequestType>Add</sr:RequestType>"
                        + "</sr:UpdateHANDeviceLog>")), .malformed, "install code", Parties.lenient)
        refused(
            Samples.text(
                Samples.unsigned(
                    body: "<sr:UpdateHANDeviceLog><sr:ExecutionDateTime>2030-01-01T00:00:00Z"
                        + "</sr:ExecutionDateTime>\(device)<sr:RequestType>Remove</sr:RequestType>"
                        + "</sr:UpdateHANDeviceLog>")), .executionTime, "carried out at once",
            Parties.lenient)
    }

    @Test("a request that was cut off anywhere is refused with one message")
    func truncated() throws {
        let whole = Array(Self.signed.utf8)
        for length in stride(from: 0, to: whole.count - 1, by: 37) {
            let refused = try #require(refusal(Array(whole[..<length])), "\(length)")
            #expect(refused.situation == .malformed, "\(length)")
            #expect(!refused.detail.isEmpty && refused.detail.utf8.count < 600)
            #expect(!refused.detail.contains("\n"))
        }
    }

    @Test("a request with any byte changed is refused or still means the same", arguments: 0..<4)
    func changedBytes(part: Int) {
        let whole = Array(Self.signed.utf8)
        for index in stride(from: part * 3, to: whole.count, by: 12) {
            var changed = whole
            changed[index] ^= index % 2 == 0 ? 0x01 : 0x20
            if let received = try? Parties.reader.request(changed) {
                // Only where nothing is signed: in KeyInfo, whose issuer is looked at last.
                #expect(received.request == Self.update, "\(index)")
            }
        }
    }

    @Test("NUL bytes, bytes that are no UTF-8 and unheard-of encodings are refused")
    func encodings() {
        refused(Self.signed.replacing("ACDCACDC", with: "ACDC\u{0}CDC"), .malformed, "")
        var bytes = Array(Self.signed.utf8)
        bytes[Self.signed.utf8.count / 2] = 0xFF
        #expect(refusal(bytes)?.situation == .malformed)
        refused(
            Self.signed.replacing("\"UTF-8\"", with: "\"EBCDIC-US\""), .malformed, "")
        refused(
            Self.signed.replacing("\"UTF-8\"", with: "\"SHIFT_JIS\""), .malformed, "encoding")
    }

    @Test("UTF-16 with a byte order mark is read like UTF-8, its signature included")
    func utf16() throws {
        let text = Self.signed.replacing("\"UTF-8\"", with: "\"UTF-16\"")
        for order in [String.Encoding.utf16LittleEndian, .utf16BigEndian] {
            let mark: [UInt8] = order == .utf16LittleEndian ? [0xFF, 0xFE] : [0xFE, 0xFF]
            let bytes = mark + Array(try #require(text.data(using: order)))
            #expect(try Parties.reader.request(bytes).request == Self.update)
        }
    }

    @Test("what is no XML at all is refused with words that fit on a line")
    func noise() {
        for text in ["", " ", "{}", "<", "<a/>", "PK\u{3}\u{4}", "<a>", "\u{FEFF}", "<?xml?>"] {
            refused(text, .malformed, "")
        }
        let long = String(repeating: "x", count: 100_000)
        let refused = refusal(Array("<\(long)/>".utf8))
        #expect((refused?.detail.utf8.count ?? .max) < 600)
    }
}
