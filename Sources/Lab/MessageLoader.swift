import Wire

/// Reads the bytes of a message that a step sends.
enum MessageLoader {
    /// What goes through a tunnel.
    static let longest = 1_500

    /// The message that `hex` has, or `file`, as bytes or as hex digits.
    static func bytes(_ map: YAMLMap, besides folder: String) throws(YAMLError) -> [UInt8] {
        let (hex, file) = (try map.optional("hex"), try map.optional("file"))
        guard let field = hex ?? file, hex == nil || file == nil else {
            throw map.field.error("expected one of 'hex' and 'file', which has the message")
        }
        let bytes: [UInt8]
        if hex != nil {
            guard let digits = Self.digits(Array(try field.word("hex digits").utf8)) else {
                throw field.error("expected hex digits, two for each byte, found \(field.found)")
            }
            bytes = digits
        } else {
            bytes = try read(field, besides: folder)
        }
        guard (1...longest).contains(bytes.count) else {
            throw field.error(
                "a message has 1 to \(longest) bytes, this one \(bytes.count)")
        }
        return bytes
    }

    private static func read(
        _ field: YAMLField, besides folder: String
    ) throws(YAMLError) -> [UInt8] {
        let name = try field.reference()
        do {
            let bytes = try Files.read(
                name.hasPrefix("/") ? name : "\(folder)/\(name)", limit: 4 * longest)
            return digits(bytes) ?? bytes
        } catch {
            throw field.error("\(error)")
        }
    }

    /// The bytes of a text of hex digits and white space; nil if it is none.
    private static func digits(_ text: [UInt8]) -> [UInt8]? {
        let space: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
        let kept = text.filter { !space.contains($0) }
        guard !kept.isEmpty, kept.allSatisfy({ $0 < 0x80 }) else { return nil }
        return Hex.bytes(String(decoding: kept, as: UTF8.self))
    }
}
