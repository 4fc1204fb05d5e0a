import ArgumentParser
import GBCS
import Lab
import Wire

/// A code on the command line, decimal or hexadecimal (`0x1F`).
struct CodeArgument<Value: FixedWidthInteger & UnsignedInteger & Sendable>: ExpressibleByArgument {
    var value: Value

    init?(argument: String) {
        guard let number = Numeral.parse(argument), let value = Value(exactly: number) else {
            return nil
        }
        self.value = value
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
