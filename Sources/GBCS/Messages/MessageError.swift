/// What is wrong in a GBCS message: where, in which field, what is there and what should be.
public struct MessageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Offset from the start of the message, in bytes.
    public var offset: Int
    /// The field's name as `han gbcs decode` shows it.
    public var field: String
    public var found: String
    public var expected: String

    public init(offset: Int, field: String, found: String, expected: String) {
        self.offset = offset
        self.field = field
        self.found = found
        self.expected = expected
    }

    public var description: String {
        "offset \(offset), \(field): found \(found), expected \(expected)"
    }
}
