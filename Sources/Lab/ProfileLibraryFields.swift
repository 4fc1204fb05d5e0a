import Wire

/// A field of a profile file, as the loader takes it and as `docs/profiles.md` lists it.
public struct ProfileField: Hashable, Sendable {
    /// Where it stands: `ota.queryInterval`, `devices[].eui64`.
    public var path: String
    /// What its value looks like.
    public var type: String
    /// What holds where it is left out: a value, `required`, or a dash for nothing.
    public var preset: String

    init(_ path: String, _ type: String, _ preset: String) {
        self.path = path
        self.type = type
        self.preset = preset
    }
}

/// All fields of one kind of file. The loaders take the names they accept from here, so that what
/// is accepted and what is documented are the same list.
struct ProfileSchema {
    let fields: [ProfileField]

    /// The names that may stand in the map at `prefix`, in the schema's order: at the top, in
    /// `ota` or in `devices[]`.
    func keys(under prefix: String = "") -> [String] {
        let start = prefix.isEmpty ? "" : prefix + "."
        var keys: [String] = []
        for field in fields where field.path.hasPrefix(start) {
            let name = String(field.path.dropFirst(start.count).prefix { $0 != "." && $0 != "[" })
            if keys.last != name, !keys.contains(name) { keys.append(name) }
        }
        return keys
    }
}

/// A field that holds one value and goes to one property of `Target`.
struct ProfileSetting<Target> {
    /// Its name within its map.
    let name: String
    let type: String
    /// The default as text, from a target nobody has changed.
    let preset: (Target) -> String
    let read: (YAMLField, inout Target) throws(YAMLError) -> Void

    /// Its entry in the schema, in the map at `prefix`.
    func field(in prefix: String, of unchanged: Target) -> ProfileField {
        ProfileField(
            prefix.isEmpty ? name : "\(prefix).\(name)", type, preset(unchanged))
    }

    /// The same with another text for the default, where the type alone does not give it.
    func preset(_ text: String) -> ProfileSetting {
        ProfileSetting(name: name, type: type, preset: { _ in text }, read: read)
    }
}

extension ProfileSetting {
    /// Anything from a microsecond to ten years: what is not zero cannot make a machine spin, and
    /// what is shorter than this cannot overflow virtual time.
    static var anyDuration: ClosedRange<Interval> { .microseconds(1)...longest }
    static var longest: Interval { .hours(24 * 3_650) }
    /// Radio timings stay below a second.
    static var radioDuration: ClosedRange<Interval> { .microseconds(1)...(.seconds(1)) }

    static func duration(
        _ name: String, _ path: WritableKeyPath<Target, Interval>,
        in range: ClosedRange<Interval> = anyDuration
    ) -> ProfileSetting {
        ProfileSetting(
            name: name, type: "duration", preset: { ProfileText.duration($0[keyPath: path]) },
            read: { (field: YAMLField, target: inout Target) throws(YAMLError) in
                target[keyPath: path] = try field.duration(within: range)
            })
    }

    static func number<T: FixedWidthInteger>(
        _ name: String, _ path: WritableKeyPath<Target, T>, in range: ClosedRange<T>,
        unit: String = ""
    ) -> ProfileSetting {
        let bounds = "\(range.lowerBound) to \(range.upperBound)"
        return ProfileSetting(
            name: name, type: "number, \(bounds)\(unit.isEmpty ? "" : " \(unit)")",
            preset: { "\($0[keyPath: path])" },
            read: { (field: YAMLField, target: inout Target) throws(YAMLError) in
                target[keyPath: path] = try field.integer(in: range)
            })
    }

    static func flag(
        _ name: String, _ path: WritableKeyPath<Target, Bool>
    ) -> ProfileSetting {
        ProfileSetting(
            name: name, type: "true or false", preset: { "\($0[keyPath: path])" },
            read: { (field: YAMLField, target: inout Target) throws(YAMLError) in
                target[keyPath: path] = try field.boolean()
            })
    }

    /// One of a few words, each of which is the raw value of `T`, or what `word` makes of it.
    static func choice<T: CaseIterable & Sendable & Equatable>(
        _ name: String, _ path: WritableKeyPath<Target, T>, word: @escaping (T) -> String
    ) -> ProfileSetting {
        let words = T.allCases.map { (word: word($0), value: $0) }
        let list = words.map(\.word)
        return ProfileSetting(
            name: name, type: list.dropLast().joined(separator: ", ") + " or " + list.last!,
            preset: { word($0[keyPath: path]) },
            read: { (field: YAMLField, target: inout Target) throws(YAMLError) in
                target[keyPath: path] = try field.choice(of: words)
            })
    }

    /// A number that is nil where the file does not say.
    static func number<T: FixedWidthInteger>(
        _ name: String, _ path: WritableKeyPath<Target, T?>, in range: ClosedRange<T>
    ) -> ProfileSetting {
        ProfileSetting(
            name: name, type: "number, \(range.lowerBound) to \(range.upperBound)",
            preset: { $0[keyPath: path].map { "\($0)" } ?? "-" },
            read: { (field: YAMLField, target: inout Target) throws(YAMLError) in
                target[keyPath: path] = try field.integer(in: range)
            })
    }

    /// A list of numbers, at most `limit` of them; none where the file does not say.
    static func numbers<T: FixedWidthInteger>(
        _ name: String, _ path: WritableKeyPath<Target, [T]>, in range: ClosedRange<T>,
        limit: Int
    ) -> ProfileSetting {
        ProfileSetting(
            name: name, type: "list of numbers, at most \(limit)",
            preset: { $0[keyPath: path].isEmpty ? "-" : "\($0[keyPath: path])" },
            read: { (field: YAMLField, target: inout Target) throws(YAMLError) in
                let list: [T] = try field.list { element throws(YAMLError) in
                    try element.integer(in: range)
                }
                guard list.count <= limit else {
                    throw field.error("expected at most \(limit) numbers, found \(list.count)")
                }
                target[keyPath: path] = list
            })
    }

    static func size(
        _ name: String, _ path: WritableKeyPath<Target, Int>, in range: ClosedRange<Int>
    ) -> ProfileSetting {
        ProfileSetting(
            name: name,
            type: "size, \(ProfileText.size(range.lowerBound)) to "
                + ProfileText.size(range.upperBound),
            preset: { ProfileText.size($0[keyPath: path]) },
            read: { (field: YAMLField, target: inout Target) throws(YAMLError) in
                target[keyPath: path] = try field.size(in: range)
            })
    }
}

extension YAMLField {
    /// A duration within a range, with the range in the message as people write durations.
    func duration(within range: ClosedRange<Interval>) throws(YAMLError) -> Interval {
        let value = try duration()
        guard range.contains(value) else {
            throw expected(
                "a duration from \(ProfileText.duration(range.lowerBound)) to "
                    + ProfileText.duration(range.upperBound))
        }
        return value
    }
}

extension YAMLMap {
    /// Reads those of `settings` that stand in this map.
    func read<Target>(
        _ settings: [ProfileSetting<Target>], into target: inout Target
    ) throws(YAMLError) {
        for setting in settings {
            if let field = try optional(setting.name) { try setting.read(field, &target) }
        }
    }

    /// Reads the map called `name`, if there is one, whose fields are all settings.
    func read<Target>(
        group name: String, _ settings: [ProfileSetting<Target>], into target: inout Target
    ) throws(YAMLError) {
        guard let field = try optional(name) else { return }
        try field.map(keys: settings.map(\.name)).read(settings, into: &target)
    }
}
