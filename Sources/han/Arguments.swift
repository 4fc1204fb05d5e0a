import ArgumentParser
import GBCS
import Lab
import Wire

/// A code on the command line, decimal or hexadecimal (`0x1F`).
///
/// Its options take whatever follows them (`parsing: .unconditional`), so that a negative number
/// is refused as one, and not for a missing value.
struct CodeArgument<Value: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    var value: Value

    /// Reads an argument, or says what was expected.
    static func read(_ text: String) throws -> CodeArgument {
        let hex = "0x" + String(repeating: "F", count: Value.bitWidth / 4)
        return CodeArgument(
            value: try Numbers.read(text, in: 0...Value.max, known: " (\(hex))"))
    }
}

enum RawArguments {
    /// Whether the bytes of an argument that ends in `text` are no UTF-8. Swift puts U+FFFD in
    /// their place, which anybody may also have typed.
    static func areDamaged(in text: String) -> Bool {
        guard text.unicodeScalars.contains("\u{FFFD}") else { return false }
        return (0..<Int(CommandLine.argc)).contains { index in
            guard let argument = CommandLine.unsafeArgv[index] else { return false }
            return String(cString: argument).hasSuffix(text)
                && String(validatingCString: argument) == nil
        }
    }
}

enum Numbers {
    /// A whole number within a range; `known` is said behind the range.
    static func read<Value: FixedWidthInteger>(
        _ text: String, in range: ClosedRange<Value>, known: String = ""
    ) throws -> Value {
        guard let number = Numeral.parse(text), let value = Value(exactly: number),
            range.contains(value)
        else {
            throw ValidationError(
                "expected a whole number from \(range.lowerBound) to \(range.upperBound)\(known), "
                    + "decimal or hexadecimal like 0x1F")
        }
        return value
    }
}

extension EUI64: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension FirmwareImage.Form: ExpressibleByArgument {}
extension FirmwareImage.IntegrityCoverage: ExpressibleByArgument {}

/// A further sub-element on the command line: `TAG=FILE`.
struct ElementArgument: ExpressibleByArgument {
    var tag: SubElementTag
    var path: String

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "="),
            let number = Numeral.parse(String(argument[..<equals])),
            let tag = UInt16(exactly: number)
        else { return nil }
        self.tag = SubElementTag(rawValue: tag)
        path = String(argument[argument.index(after: equals)...])
        if path.isEmpty { return nil }
    }
}
