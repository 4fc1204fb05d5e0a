import CXML
import Glibc

/// A document from which long runs of plain text have been taken before it is parsed: an image and
/// a list of devices are nearly all of an 11.1, and nothing in them is for an XML parser to find.
///
/// A run lies between `>` and `<` and has no carriage return, which a parser would not hand on as
/// it is. A mark takes its place, a text that stands nowhere else. Afterwards every mark has to be
/// all the text of an element, and its run has to be read as what it is, an image or a list of
/// devices: neither has a `&` or a `>`, so whatever it is part of goes on after it as before.
/// Otherwise, as in a comment, the document is parsed whole.
struct CutDocument {
    /// In the order of their marks.
    private let runs: [UnsafeBufferPointer<UInt8>]
    let bytes: [UInt8]

    /// Shorter runs are left, in bytes.
    private static let least = 4_096
    private static let maximumCount = 8

    /// U+F8FF, which is nobody's, in UTF-8.
    private static let sign: [UInt8] = [0xEF, 0xA3, 0xBF]

    private static func mark(_ index: Int) -> [UInt8] {
        sign + [UInt8(ascii: "0") + UInt8(index)] + sign
    }

    /// nil if there is nothing to be taken, or something that could be mistaken for a mark. The
    /// runs point into `document`.
    init?(_ document: UnsafeBufferPointer<UInt8>) {
        guard let start = document.baseAddress, document.count > Self.least else { return nil }
        func next(_ byte: Unicode.Scalar, from place: Int, to end: Int) -> Int? {
            memchr(start + place, Int32(byte.value), end - place).map {
                UnsafeRawPointer($0) - UnsafeRawPointer(start)
            }
        }
        var runs: [UnsafeBufferPointer<UInt8>] = []
        var bytes: [UInt8] = []
        var (at, kept) = (0, 0)
        while at < document.count, let end = next("<", from: at, to: document.count) {
            if end - at >= Self.least, at > 0, runs.count < Self.maximumCount,
                next("\r", from: at, to: end) == nil
            {
                bytes += document[kept..<at]
                // What is kept must have no mark of its own.
                bytes += Self.mark(runs.count)
                runs.append(UnsafeBufferPointer(rebasing: document[at..<end]))
                kept = end
            }
            guard let close = next(">", from: end, to: document.count) else { break }
            at = close + 1
        }
        guard !runs.isEmpty else { return nil }
        bytes += document[kept...]
        guard Self.count(of: Self.sign[0], Self.sign[1], Self.sign[2], in: bytes) == 2 * runs.count,
            Self.hasOnlyShortReferences(bytes)
        else { return nil }
        self.runs = runs
        self.bytes = bytes
    }

    private static func count(of a: UInt8, _ b: UInt8, _ c: UInt8, in bytes: [UInt8]) -> Int {
        var count = 0
        for index in 0..<max(0, bytes.count - 2)
        where bytes[index] == a && bytes[index + 1] == b && bytes[index + 2] == c { count += 1 }
        return count
    }

    /// Whether each reference to a character has four characters at most: that of a mark has five.
    private static func hasOnlyShortReferences(_ bytes: [UInt8]) -> Bool {
        for index in bytes.indices.dropLast()
        where bytes[index] == UInt8(ascii: "&") && bytes[index + 1] == UInt8(ascii: "#") {
            guard bytes[(index + 2)...].prefix(5).contains(UInt8(ascii: ";")) else { return false }
        }
        return true
    }

    /// Has each element whose text is a mark know its run, as long as `body` runs.
    func withRuns<Value>(of tree: XMLTree, _ body: () throws(Fault) -> Value) throws(Fault) -> Value
    {
        let places = UnsafeMutableBufferPointer<UnsafeBufferPointer<UInt8>>.allocate(
            capacity: runs.count)
        _ = places.initialize(from: runs)
        defer { places.deallocate() }
        let marks = runs.indices.map { Self.mark($0) + [0] }
        var stack = tree.root.map { [$0] } ?? []
        while let element = stack.popLast() {
            if let text = element.onlyText {
                for (index, mark) in marks.enumerated()
                where xmlStrEqual(text.pointee.content, mark) == 1 {
                    text.pointee._private = UnsafeMutableRawPointer(places.baseAddress! + index)
                }
            }
            stack += element.elements
        }
        return try body()
    }

    /// Whether as many runs as there are were read as what they are.
    func isAccounted(for longTexts: [LongText]) -> Bool {
        longTexts.filter { $0.element.run != nil }.count == runs.count
    }
}

extension XMLElement {
    /// The run that was taken from it.
    var run: UnsafeBufferPointer<UInt8>? {
        onlyText?.pointee._private?.load(as: UnsafeBufferPointer<UInt8>.self)
    }
}
