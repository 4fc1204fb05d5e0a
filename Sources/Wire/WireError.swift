/// Why bytes could not be read: what was wrong, and at which offset.
///
/// Nothing from the air throws this out of a machine: the machine turns it into a drop with a
/// reason. Files and command-line input show it to a person.
public struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Problem: Hashable, Sendable {
        /// The bytes end before the field does.
        case truncated
        /// A field has a value that its layout does not allow.
        case invalid
        /// Bytes are left over where the layout ends.
        case trailing
    }

    public var problem: Problem
    /// The field's name in its specification.
    public var field: StaticString
    /// Offset from the start of what was being read, in bytes.
    public var offset: Int

    public init(_ problem: Problem, _ field: StaticString, at offset: Int) {
        self.problem = problem
        self.field = field
        self.offset = offset
    }

    public var description: String {
        switch problem {
        case .truncated: "offset \(offset): the bytes end inside '\(field)'"
        case .invalid: "offset \(offset): '\(field)' has a value that is not allowed there"
        case .trailing: "offset \(offset): bytes left over after '\(field)'"
        }
    }

    public static func == (a: WireError, b: WireError) -> Bool {
        a.problem == b.problem && a.offset == b.offset && a.field.description == b.field.description
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(problem)
        hasher.combine(offset)
    }
}
