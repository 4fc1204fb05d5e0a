import Crypto
import DCC
import GBCS
import DUIS
import Foundation
import Testing
import Wire

/// An 11.1's long texts are not shown to libxml2, and that must not be seen.
@Suite("Long texts of a request")
struct LongTextTests {
    static let image = [UInt8](unsafeUninitializedCapacity: 30_000) { buffer, count in
        for index in 0..<30_000 { buffer[index] = UInt8(truncatingIfNeeded: index &* 7) }
        count = 30_000
    }
    static let request = Samples.request(
        "11.1", .updateFirmware(Samples.update(1_000, image: image)))

    static let text: String =
        (try? DUISWriter.request(request, signedBy: nil)).map { Samples.text($0) } ?? ""

    /// What stands between these tags.
    private func content(_ name: String, _ text: String = text) throws -> String {
        let start = try #require(text.range(of: "<sr:\(name)>")).upperBound
        let end = try #require(text.range(of: "</sr:\(name)>")).lowerBound
        return String(text[start..<end])
    }

    private func sign(_ text: String) throws -> [UInt8] {
        try DUISSigner.sign(
            Array(text.utf8), by: try #require(Parties.keys.signer(of: Parties.user)))
    }

    @Test("however the long texts are written, the request and its signature are the same")
    func forms() throws {
        let image = try content("FirmwareImage")
        let middle = image.index(image.startIndex, offsetBy: 20_000)
        let (first, second) = (image[..<middle], image[middle...])
        let list = try content("DeviceIDList")
        let lines = stride(from: 0, to: image.count, by: 76).map { start in
            image.dropFirst(start).prefix(76)
        }
        for form in [
            image, " \n\(image)\t\n", "\(first)\n\(second)", "\(first)&#13;\n\(second)",
            "\(first)\r\n\(second)", "\(first)<!-- -->\(second)", "<!-- -->\(image)",
            "<![CDATA[\(image)]]>", "\(first)<![CDATA[\(second)]]>", lines.joined(separator: "\n"),
            lines.joined(separator: "\r\n"), lines.joined(separator: "&#xD;\n"),
        ] {
            let text = Self.text.replacing(image, with: form)
            let read = try Parties.lenient.request(Array(text.utf8))
            #expect(read.request == Self.request)
            let signed = try sign(text)
            #expect(try Parties.reader.request(signed).request == Self.request)
            // With the line ends of the document itself as they came.
            let whole = Samples.text(signed)
            #expect(try Parties.reader.request(Array(whole.utf8)).signer == Parties.user)
            let changed = whole.replacing(list.prefix(47), with: list.prefix(46) + "7")
            #expect(refusal(Array(changed.utf8))?.situation == .badSignature)
        }
    }

    @Test("a long comment, instruction or text elsewhere is no image, whatever is in it")
    func elsewhere() throws {
        let image = try content("FirmwareImage")
        let other = String(repeating: "A", count: 8_000)
        for (found, put) in [
            ("<sr:Header>", "<!-- >\(other)< --><sr:Header>"),
            ("<sr:Header>", "<?a >\(other)<?><sr:Header>"),
            ("<sr:FirmwareVersion>", "<!-->\(other)<--><sr:FirmwareVersion>"),
        ] {
            let text = Self.text.replacing(found, with: put)
            #expect(try Parties.lenient.request(Array(text.utf8)).request == Self.request)
            #expect(try Parties.reader.request(try sign(text)).request == Self.request)
        }
        // Marks that somebody wrote himself stand for nothing.
        for mark in ["\u{F8FF}0\u{F8FF}", "&#xF8FF;0&#xF8FF;", "&#63743;0&#x0f8ff;"] {
            for place in ["<!-- >\(image)< -->", "<![CDATA[]]>", ""] {
                let text = Self.text.replacing(">\(image)<", with: ">\(mark)<")
                    .replacing("<sr:Header>", with: "\(place)<sr:Header>")
                #expect(refusal(Array(text.utf8), Parties.lenient)?.situation == .malformed)
            }
            let version = Self.text.replacing("ACDCACDC", with: mark)
            guard
                case .updateFirmware(let update) =
                    try Parties.lenient.request(Array(version.utf8)).request.body
            else {
                Issue.record("no 11.1")
                return
            }
            #expect(update.version == "\u{F8FF}0\u{F8FF}")
            #expect(update.image == Self.image)
        }
        let model = Samples.unsigned(
            body: "<sr:ReadInventory><sr:MPxN>\(other)</sr:MPxN></sr:ReadInventory>")
        #expect(refusal(model, Parties.lenient)?.detail.contains("1 to 13 characters") == true)
        let unknown = Samples.unsigned(
            body: "<sr:DisplayMessage><sr:a>\(other)</sr:a></sr:DisplayMessage>", reference: "3.1")
        #expect(try Parties.lenient.request(unknown).request.body == .other("DisplayMessage"))
    }

    @Test("what makes a document no XML is not hidden by a long text")
    func noXML() throws {
        let image = try content("FirmwareImage")
        for broken in [
            Self.text.replacing(image, with: image + "]]>"),
            Self.text.replacing("<sr:Header>", with: "<sr:Header a='>\(image)<'>"),
            Self.text.replacing("<sr:Header>", with: "<!-- >\(image)--\(image)< --><sr:Header>"),
            Self.text.replacing(image, with: image + "\u{1}"),
            Self.text.replacing(image, with: image + "\u{0}"),
            Self.text + ">\(image)<", String(Self.text.dropLast(20)),
            "\(image)" + Self.text, Self.text.replacing("</sr:Body>", with: ""),
        ] {
            #expect(refusal(Array(broken.utf8), Parties.lenient)?.situation == .malformed)
        }
        // The line is that of the document as it came.
        let lines = Self.text.replacing(image, with: image.replacing("A", with: "\nA"))
        let refused = refusal(
            Array(lines.replacing("ACDCACDC", with: "").utf8), Parties.lenient)
        let count = lines.prefix(
            upTo: try #require(lines.range(of: "<sr:FirmwareVersion>")).lowerBound
        )
        .count { $0 == "\n" }
        #expect(refused?.detail.contains("FirmwareVersion (line \(count + 1))") == true)
    }

    @Test("in another encoding the long texts are read too")
    func encodings() throws {
        let latin = Self.text.replacing("\"UTF-8\"", with: "\"ISO-8859-1\"")
        #expect(try Parties.lenient.request(Array(latin.utf8)).request == Self.request)
        let wide = Self.text.replacing("\"UTF-8\"", with: "\"UTF-16\"")
        var bytes: [UInt8] = [0xFF, 0xFE]
        for unit in wide.utf16 { bytes += [UInt8(unit & 0xFF), UInt8(unit >> 8)] }
        #expect(try Parties.lenient.request(bytes).request == Self.request)
    }
}
