import ArgumentParser

/// What a command makes, as its first argument says. That decides which of its options must be
/// given, and which may be.
protocol OptionVariant: CaseIterable, RawRepresentable<String> {
    /// Names of options, without dashes.
    var options: (needed: [String], taken: [String]) { get }
}

extension OptionVariant {
    /// The names of those options of `command` that were given, of all that any variant has, in
    /// the order in which the command declares them.
    static func given(to command: some ParsableCommand) -> [String] {
        let known = Set(allCases.flatMap { $0.options.needed + $0.options.taken })
        return Mirror(reflecting: command).children.compactMap { child in
            guard let option = child.value as? any GivenOption, option.isGiven,
                let name = child.label.map(optionName), known.contains(name)
            else { return nil }
            return name
        }
    }

    /// Throws if one that is needed was not given, or one that was does not belong to it.
    func check(_ given: [String]) throws {
        let (needed, taken) = options
        if let missing = needed.first(where: { !given.contains($0) }) {
            throw ValidationError("\(rawValue) needs --\(missing).")
        }
        if let foreign = given.first(where: { !(needed + taken).contains($0) }) {
            throw ValidationError("--\(foreign) does not belong to \(rawValue).")
        }
    }

    /// `install-code` for the wrapper `_installCode`, as the parser names options.
    private static func optionName(_ label: String) -> String {
        label.drop { $0 == "_" }.reduce(into: "") { name, letter in
            name += letter.isUppercase ? "-\(letter.lowercased())" : "\(letter)"
        }
    }
}

/// An option or a flag, whatever its type.
private protocol GivenOption {
    associatedtype Value
    var wrappedValue: Value { get }
}

extension GivenOption {
    /// There is a value, a list has one, or a flag is set.
    var isGiven: Bool {
        if let flag = wrappedValue as? Bool { return flag }
        return !Mirror(reflecting: wrappedValue).children.isEmpty
    }
}

extension Option: GivenOption {}
extension Flag: GivenOption {}
