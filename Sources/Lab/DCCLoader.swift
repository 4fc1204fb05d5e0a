import DCC
import Wire

/// The settings of a DCC as a file says them (`Profiles/dcc/`), and devices that the inventory has
/// and no home.
public struct DCCProfile: Sendable {
    public var name: String
    public var settings: DCCSettings
    public var inventory: [InventoryDevice]
}

/// Reads the settings of a DCC, a file in `Profiles/dcc/`.
struct DCCLoader {
    static let schema = ProfileSchema(
        fields: [
            ProfileField("kind", "dcc", "required"),
            ProfileField("title", "text", "required"),
            ProfileField("id", "EUI-64", unchanged.id.dashed),
            ProfileField("users[].id", "EUI-64", "required"),
            ProfileField("users[].name", "text", "required"),
            ProfileField("users[].roles", "list of roles", "required"),
            ProfileField("users[].responseURL", "URL", "-"),
            ProfileField("users[].active", "true or false", "true"),
            ProfileField(
                "releases.tracking", momentType, ProfileText.moment(unchanged.releases.tracking)),
            ProfileField(
                "releases.hanDevices", momentType, ProfileText.moment(unchanged.releases.hanDevices)
            ),
        ] + settings.map { $0.field(in: "", of: unchanged) }
            + notices.map { $0.field(in: "notices", of: unchanged.notices) }
            + [
                ProfileField("statuses[].variant", "service reference variant", "required"),
                ProfileField("statuses[].devices", "list of device statuses", "required"),
                ProfileField(
                    "gbcsRule.subject",
                    GBCSVersionRule.Subject.allCases.map(\.rawValue).joined(separator: " or "),
                    unchanged.gbcsRule.subject.rawValue),
                ProfileField("gbcsRule.enforced", "true or false", "true"),
            ]
            + InventoryType.allCases.map {
                ProfileField(
                    "gbcsRule.minimum.\($0.rawValue)", YAMLField.gbcsVersionType,
                    unchanged.gbcsRule.minimum[$0] ?? "-")
            }
            + [ProfileField("regions[].name", "text", "required")]
            + regionFields(in: "regions[]") + regionFields(in: "defaultRegion")
            + ResponseCodes.Situation.allCases.map {
                ProfileField("codes.\($0.rawValue)", "response code", $0.usual)
            }
            + AlertCodes.Cause.allCases.map {
                ProfileField("alertCodes.\($0.rawValue)", "DCC alert code", $0.usual)
            } + inventory.map { ProfileField("inventory[].\($0.name)", $0.type, $0.preset) })

    private static var unchanged: DCCSettings { DCCSettings() }
    private static let momentType = "moment, always or never"
    /// Of users, regions and outages.
    private static let listLimit = 1_000
    private static let inventoryLimit = 100_000

    private static var settings: [ProfileSetting<DCCSettings>] {
        [
            .number("maximumDevices", \.maximumDevices, in: 1...50_000),
            .size("maximumImageSize", \.maximumImageSize, in: 1_024...(16 << 20)),
            .seconds("commandTimeout", \.commandTimeout, from: 1),
            .number("rememberedRequests", \.rememberedRequests, in: 1...10_000_000),
            .seconds("updateTimeout", \.updateTimeout, from: 1),
            .seconds("activationTimeout", \.activationTimeout, from: 1),
            .seconds("refusalTimeout", \.refusalTimeout, from: 0),
            .flag("letsForceReplace", \.letsForceReplace),
            .choice("joinedStatus", \.joinedStatus) { $0.rawValue },
            ProfileSetting(
                name: "gbcsVersion", type: YAMLField.gbcsVersionType, preset: { $0.gbcsVersion },
                read: { (field: YAMLField, target: inout DCCSettings) throws(YAMLError) in
                    target.gbcsVersion = try field.gbcsVersion()
                }),
        ]
    }

    private static var notices: [ProfileSetting<NoticeRules>] {
        [
            .seconds("retryInterval", \.retryInterval, from: 1),
            .seconds("keptAfter", \.keptAfter, from: 1),
            .seconds("redeliveryInterval", \.redeliveryInterval, from: 1),
            .seconds("attemptTimeout", \.attemptTimeout, from: 1),
        ]
    }

    private static var region: [ProfileSetting<CSPRegion>] {
        [
            .seconds("delay", \.delay, from: 0),
            .seconds("retryInterval", \.retryInterval, from: 1),
            .number("attempts", \.attempts, in: 1...1_000),
            .seconds("attemptTimeout", \.attemptTimeout, from: 1),
            .number("capacity", \.capacity, in: 1...1_000_000),
        ]
    }

    private static func regionFields(in prefix: String) -> [ProfileField] {
        region.map { $0.field(in: prefix, of: CSPRegion()) } + [
            ProfileField("\(prefix).outages[].from", "moment", "required"),
            ProfileField("\(prefix).outages[].to", "moment", "required"),
        ]
    }

    // MARK: - Reading

    static func load(_ file: ProfileFile) throws(YAMLError) -> DCCProfile {
        let map = try file.top.map(keys: schema.keys())
        _ = try map.required("title").oneLine()
        var settings = DCCSettings()
        if let field = try map.optional("id") { settings.id = try field.eui64() }
        if let field = try map.optional("users") { settings.users = try users(field) }
        if let field = try map.optional("releases") {
            let dates = try field.map(keys: schema.keys(under: "releases"))
            if let date = try dates.optional("tracking") {
                settings.releases.tracking = try moment(date)
            }
            if let date = try dates.optional("hanDevices") {
                settings.releases.hanDevices = try moment(date)
            }
            guard settings.releases.tracking <= settings.releases.hanDevices else {
                let tracking = ProfileText.moment(settings.releases.tracking)
                let hanDevices = ProfileText.moment(settings.releases.hanDevices)
                throw field.error(
                    "hanDevices, \(hanDevices), is before tracking, \(tracking); each release has "
                        + "all of those before it")
            }
        }
        try map.read(Self.settings, into: &settings)
        if let field = try map.optional("notices") {
            try field.map(keys: schema.keys(under: "notices")).read(
                notices, into: &settings.notices)
        }
        if let field = try map.optional("statuses") { try statuses(field, &settings) }
        if let field = try map.optional("gbcsRule") {
            settings.gbcsRule = try rule(field)
        }
        if let field = try map.optional("regions") { settings.regions = try regions(field) }
        if let field = try map.optional("defaultRegion") {
            let map = try field.map(keys: schema.keys(under: "defaultRegion"))
            settings.defaultRegion = try region(map)
        }
        if let field = try map.optional("codes") {
            try codes(
                field, ResponseCodes.Situation.allCases, "a response code such as 'E5'", "EIW",
                into: &settings.codes.changed)
        }
        if let field = try map.optional("alertCodes") {
            try codes(
                field, AlertCodes.Cause.allCases, "a DCC alert code such as 'N60'", "N",
                into: &settings.alertCodes.changed)
        }
        var devices: [InventoryDevice] = []
        if let field = try map.optional("inventory") { devices = try inventory(field) }
        return DCCProfile(name: file.name, settings: settings, inventory: devices)
    }

    private static func list(
        _ field: YAMLField, of what: String, limit: Int = listLimit
    ) throws(YAMLError) -> [YAMLField] {
        let fields = try field.list()
        guard fields.count <= limit else {
            throw field.error("expected at most \(limit) \(what), found \(fields.count)")
        }
        return fields
    }

    private static func users(
        _ field: YAMLField
    ) throws(YAMLError) -> [EUI64: ServiceUser] {
        var users: [EUI64: ServiceUser] = [:]
        for field in try list(field, of: "users") {
            let map = try field.map(keys: schema.keys(under: "users[]"))
            var user = ServiceUser(
                id: try map.required("id").eui64(), name: try map.required("name").oneLine(),
                roles: Set(
                    try map.required("roles").list { role throws(YAMLError) in
                        try role.choice(ServiceUser.Role.self)
                    }))
            if user.roles.isEmpty {
                throw try map.required("roles").error("expected at least one role, found none")
            }
            if let field = try map.optional("responseURL") {
                user.responseURL = try url(field)
            }
            if let field = try map.optional("active") { user.isActive = try field.boolean() }
            guard users.updateValue(user, forKey: user.id) == nil else {
                throw field.error("a user above has the id \(user.id) already")
            }
        }
        return users
    }

    private static func url(_ field: YAMLField) throws(YAMLError) -> String {
        let text = try field.reference()
        let start = ["http://", "https://"].first { text.hasPrefix($0) }
        guard let start, text.utf8.count > start.utf8.count,
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw field.expected("a URL such as 'http://127.0.0.1:8080/responses'") }
        return text
    }

    /// `always` is before, and `never` after, all that virtual time reaches.
    private static func moment(_ field: YAMLField) throws(YAMLError) -> UTCTime {
        switch try field.word("a moment, 'always' or 'never'") {
        case "always": UTCTime(secondsSince2000: 0)
        case "never": UTCTime(secondsSince2000: .max)
        default: try field.date()
        }
    }

    private static func statuses(
        _ field: YAMLField, _ settings: inout DCCSettings
    ) throws(YAMLError) {
        var taken: Set<String> = []
        for field in try list(field, of: "entries") {
            let map = try field.map(keys: schema.keys(under: "statuses[]"))
            let variantField = try map.required("variant")
            let words = settings.statuses.keys.sorted().map { (word: $0, value: $0) }
            let variant = try variantField.choice(of: words)
            guard taken.insert(variant).inserted else {
                throw variantField.error("an entry above is about \(variant) already")
            }
            settings.statuses[variant] = Set(
                try map.required("devices").list { status throws(YAMLError) in
                    try status.choice(DeviceStatus.self)
                })
        }
    }

    private static func rule(_ field: YAMLField) throws(YAMLError) -> GBCSVersionRule {
        var rule = GBCSVersionRule()
        let map = try field.map(keys: schema.keys(under: "gbcsRule"))
        if let field = try map.optional("subject") {
            rule.subject = try field.choice(
                of: GBCSVersionRule.Subject.allCases.map { (word: $0.rawValue, value: $0) })
        }
        if let field = try map.optional("enforced") { rule.isEnforced = try field.boolean() }
        if let field = try map.optional("minimum") {
            let map = try field.map(keys: schema.keys(under: "gbcsRule.minimum"))
            // What is written stands for all: a type that is left out has no minimum.
            rule.minimum = [:]
            for type in InventoryType.allCases {
                if let field = try map.optional(type.rawValue) {
                    rule.minimum[type] = try field.gbcsVersion()
                }
            }
        }
        return rule
    }

    private static func regions(_ field: YAMLField) throws(YAMLError) -> [String: CSPRegion] {
        var regions: [String: CSPRegion] = [:]
        for field in try list(field, of: "regions") {
            let map = try field.map(keys: schema.keys(under: "regions[]"))
            let name = try map.required("name").oneLine()
            guard regions.updateValue(try region(map), forKey: name) == nil else {
                throw field.error("a region above is called '\(name)' already")
            }
        }
        return regions
    }

    private static func region(_ map: YAMLMap) throws(YAMLError) -> CSPRegion {
        var region = CSPRegion()
        try map.read(Self.region, into: &region)
        guard let field = try map.optional("outages") else { return region }
        for field in try list(field, of: "outages") {
            let map = try field.map(keys: schema.keys(under: "defaultRegion.outages[]"))
            let (from, to) = (
                try map.required("from").date(), try map.required("to").date()
            )
            guard from < to else {
                throw field.error(
                    "it ends at \(ProfileText.moment(to)), which is not after its beginning")
            }
            region.outages.append(from..<to)
        }
        return region
    }

    /// A code is one of `letters` and one to six digits.
    private static func codes<Situation: RawRepresentable<String>, Code: RawRepresentable<String>>(
        _ field: YAMLField, _ situations: [Situation], _ what: String, _ letters: String,
        into codes: inout [Situation: Code]
    ) throws(YAMLError) {
        let map = try field.map(keys: situations.map(\.rawValue))
        for situation in situations {
            guard let field = try map.optional(situation.rawValue) else { continue }
            let text = try field.word(what)
            guard let first = text.first, letters.contains(first),
                (2...7).contains(text.utf8.count),
                text.utf8.dropFirst().allSatisfy({ (0x30...0x39).contains($0) }),
                let code = Code(rawValue: text)
            else { throw field.expected(what) }
            codes[situation] = code
        }
    }
}

// MARK: - Devices that no home has

extension DCCLoader {
    private struct InventoryField {
        var name: String
        var type: String
        var preset: String
        var read: (YAMLField, inout InventoryDevice) throws(YAMLError) -> Void
    }

    private static func id(
        _ name: String, _ path: WritableKeyPath<InventoryDevice, EUI64?>
    ) -> InventoryField {
        InventoryField(name: name, type: "EUI-64", preset: "-") {
            (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
            device[keyPath: path] = try field.eui64()
        }
    }

    private static func text(
        _ name: String, _ path: WritableKeyPath<InventoryDevice, String?>
    ) -> InventoryField {
        InventoryField(name: name, type: "text", preset: "-") {
            (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
            device[keyPath: path] = try field.oneLine()
        }
    }

    private static var inventory: [InventoryField] {
        [
            InventoryField(name: "id", type: "EUI-64", preset: "required") {
                (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
                device.id = try field.eui64()
            },
            InventoryField(
                name: "type",
                type: InventoryType.allCases.map(\.rawValue).joined(separator: ", "),
                preset: "required"
            ) { (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
                device.type = try field.choice()
            },
            InventoryField(
                name: "status", type: YAMLField.deviceStatusType,
                preset: DeviceStatus.commissioned.rawValue
            ) { (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
                device.status = try field.choice()
            },
            InventoryField(
                name: "manufacturer", type: "number, 0 to 0xFFFF", preset: "required"
            ) { (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
                device.manufacturer = InventoryDevice.manufacturer(try field.integer())
            },
            InventoryField(name: "model", type: "text", preset: "required") {
                (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
                device.model = try field.oneLine()
            },
            InventoryField(name: "firmware", type: "version", preset: "-") {
                (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
                device.firmware = try field.integer()
            },
            InventoryField(name: "hardware", type: "number, 0 to 0xFFFF", preset: "-") {
                (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
                device.hardware = try field.integer()
            },
            InventoryField(
                name: "gbcsVersion", type: YAMLField.gbcsVersionType, preset: "-"
            ) { (field: YAMLField, device: inout InventoryDevice) throws(YAMLError) in
                device.gbcsVersion = try field.gbcsVersion()
            },
            id("hub", \.hub), id("supplierID", \.supplier), text("region", \.region),
            text("specification", \.specification), text("esmeVariant", \.esmeVariant),
            text("importMPxN", \.importMPxN),
            text("secondaryImportMPAN", \.secondaryImportMPAN),
            text("exportMPAN", \.exportMPAN), text("uprn", \.uprn),
            text("postCode", \.postCode), text("address", \.address),
        ]
    }

    private static func inventory(_ field: YAMLField) throws(YAMLError) -> [InventoryDevice] {
        let known = inventory
        var devices: [InventoryDevice] = []
        var taken: Set<EUI64> = []
        for field in try list(field, of: "devices", limit: inventoryLimit) {
            let map = try field.map(keys: known.map(\.name))
            var device = InventoryDevice(
                id: .unknown, type: .ihd, status: .commissioned, manufacturer: "", model: "")
            for part in known {
                if let value = try map.optional(part.name) {
                    try part.read(value, &device)
                } else if part.preset == "required" {
                    _ = try map.required(part.name)
                }
            }
            guard taken.insert(device.id).inserted else {
                throw field.error("a device above has the id \(device.id) already")
            }
            devices.append(device)
        }
        return devices
    }
}

extension ProfileSetting {
    /// A whole number of seconds, up to ten years.
    fileprivate static func seconds(
        _ name: String, _ path: WritableKeyPath<Target, UInt32>, from least: Int64
    ) -> ProfileSetting {
        ProfileSetting(
            name: name, type: "duration",
            preset: { ProfileText.duration(.seconds(Int64($0[keyPath: path]))) },
            read: { (field: YAMLField, target: inout Target) throws(YAMLError) in
                let value = try field.duration(within: .seconds(least)...longest)
                guard value.microseconds % 1_000_000 == 0 else {
                    throw field.expected("a whole number of seconds")
                }
                target[keyPath: path] = UInt32(value.microseconds / 1_000_000)
            })
    }
}

extension YAMLField {
    static let deviceStatusType = "device status"
}
