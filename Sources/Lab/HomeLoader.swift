import Air
import Crypto
import DCC
import Devices
import GBCS
import Wire

/// Reads a home, a file in `Profiles/homes/`, with the profiles and the keys that it names.
struct HomeLoader {
    let library: ProfileLibrary
    let file: ProfileFile

    static let schema = ProfileSchema(
        fields: [
            ProfileField("kind", "home", "required"),
            ProfileField("title", "text", "required"),
            ProfileField("channels", "list of numbers, 11 to 26", channelsPreset),
            ProfileField("hub.profile", "a hub's name or path", "required"),
            ProfileField("hub.eui64", "EUI-64", "required"),
            ProfileField("hub.firmware", "version", "required"),
            ProfileField("hub.signer", "key file", "-"),
            ProfileField("hub.chf", "EUI-64", "the hub's with bit 7 turned over"),
            ProfileField("hub.status", YAMLField.deviceStatusType, usualStatus),
            ProfileField("devices[].name", "text", "the device's type"),
            ProfileField("devices[].profile", "a device's name or path", "required"),
            ProfileField("devices[].eui64", "EUI-64", "required"),
            ProfileField("devices[].installCode", "install code", "required"),
            ProfileField("devices[].firmware", "version", "required"),
            ProfileField("devices[].supplier", "key file", "required; a PPMID has none"),
            ProfileField("devices[].logged", "true or false", "true"),
            ProfileField("devices[].status", YAMLField.deviceStatusType, usualStatus),
            ProfileField("devices[].supplierID", "EUI-64", Home.usualSupplierID.dashed),
            ProfileField("region", "text", Home.usualRegion),
            ProfileField(
                "keyEstablishment",
                HomeKeyEstablishment.allCases.map(\.rawValue).joined(separator: ", "),
                unchanged.keyEstablishment.rawValue),
            ProfileField(
                "installCodeDevices", "list of device names, device types or EUI-64s", "none"),
            ProfileField("commonLink.rssi", LinkLoader.rssiType, "\(unchanged.commonLink.rssi)"),
            ProfileField("commonLink.loss", LinkLoader.lossType, "0 %"),
            ProfileField("links[].between", "list of two members", "-"),
            ProfileField("links[].from", "a member", "-"),
            ProfileField("links[].to", "a member", "-"),
            ProfileField("links[].rssi", LinkLoader.rssiType, "that of commonLink"),
            ProfileField("links[].loss", LinkLoader.lossType, "that of commonLink"),
        ]
            + groups.flatMap { name, settings in
                settings.map { $0.field(in: name, of: AirSettings()) }
            })

    /// The hub's name in every home.
    static let hubName = "CH"
    /// The most devices in a home. assumption: far above what any hub's device log holds.
    static let deviceLimit = 63

    private static var usualStatus: String { DeviceStatus.commissioned.rawValue }

    private static var unchanged: Home {
        let hub = HomeHub(
            name: hubName, profile: HubProfile(name: ""), eui64: .unknown, firmware: 0, signer: nil)
        return Home(name: "", title: "", hub: hub, devices: [])
    }

    private static var channelsPreset: String {
        unchanged.channels.map(String.init).joined(separator: ", ")
    }

    private static var groups: [(name: String, settings: [ProfileSetting<AirSettings>])] {
        [("phy", phy), ("wan", wan), ("bench", bench)]
    }

    private static var phy: [ProfileSetting<AirSettings>] {
        func timing(
            _ name: String, _ path: WritableKeyPath<AirSettings, Interval>
        ) -> ProfileSetting<AirSettings> {
            .duration(name, path, in: ProfileSetting<AirSettings>.radioDuration)
        }
        return [
            .number("sensitivity", \.sensitivity, in: -127...0, unit: "dBm"),
            .number("capture", \.capture, in: 0...100, unit: "dB"),
            timing("symbol", \.phy.symbol),
            timing("byte", \.phy.byte),
            timing("synchronisation", \.phy.synchronisation),
            timing("turnaround", \.phy.turnaround),
            timing("assessment", \.phy.assessment),
            timing("backoff", \.phy.backoff),
            timing("acknowledgementWait", \.phy.acknowledgementWait),
            timing("shortSpacing", \.phy.shortSpacing),
            timing("longSpacing", \.phy.longSpacing),
            .number("shortFrameLimit", \.phy.shortFrameLimit, in: 0...127, unit: "bytes"),
            .number("minimumBackoffExponent", \.phy.minimumBackoffExponent, in: 0...8),
            .number("maximumBackoffExponent", \.phy.maximumBackoffExponent, in: 0...8),
            .number("maximumBackoffs", \.phy.maximumBackoffs, in: 0...5),
            .number("maximumRetries", \.phy.maximumRetries, in: 0...7),
        ]
    }

    private static var wan: [ProfileSetting<AirSettings>] {
        [
            .duration("latency", \.wanLatency, in: .zero...(.hours(24))),
            ProfileSetting(
                name: "bytesPerSecond", type: "number, 1 to 1000000",
                preset: { "\(1_000_000 / $0.wanPerByte.microseconds)" },
                read: { (field: YAMLField, air: inout AirSettings) throws(YAMLError) in
                    let rate = try field.integer(Int64.self, in: 1...1_000_000)
                    // To the nearest microsecond a byte.
                    air.wanPerByte = .microseconds((1_000_000 + rate / 2) / rate)
                }),
            .number("messageSize", \.wanChunk, in: 64...65_535, unit: "bytes"),
        ]
    }

    private static var bench: [ProfileSetting<AirSettings>] {
        [.duration("latency", \.benchLatency, in: .microseconds(1)...(.seconds(1)))]
    }

    // MARK: - Reading

    func load() throws(YAMLError) -> Home {
        let map = try file.top.map(keys: Self.schema.keys())
        let title = try map.required("title").oneLine()
        var taken: [EUI64: String] = [:]
        let hub = try hub(map.required("hub"), taken: &taken)
        let devices = try devices(map.required("devices"), taken: &taken)
        var home = Home(name: file.name, title: title, hub: hub, devices: devices)
        if let field = try map.optional("channels") { home.channels = try Self.channels(field) }
        if let field = try map.optional("region") { home.region = try field.oneLine() }
        if let field = try map.optional("keyEstablishment") {
            home.keyEstablishment = try field.choice(
                of: HomeKeyEstablishment.allCases.map { (word: $0.rawValue, value: $0) })
        }
        if let field = try map.optional("installCodeDevices") {
            home.installCodeDevices = try Self.members(field, of: devices)
        }
        if let field = try map.optional("commonLink") {
            let keys = Self.schema.keys(under: "commonLink")
            home.commonLink = try LinkLoader.read(field.map(keys: keys), base: home.commonLink)
        }
        if let field = try map.optional("links") {
            let names = [hub.name] + devices.map(\.name)
            home.links = try links(field, members: names, common: home.commonLink)
        }
        for (name, settings) in Self.groups {
            try map.read(group: name, settings, into: &home.air)
        }
        let phy = home.air.phy
        if phy.minimumBackoffExponent > phy.maximumBackoffExponent,
            let field = try map.optional("phy")
        {
            throw field.error(
                "minimumBackoffExponent, \(phy.minimumBackoffExponent), is above "
                    + "maximumBackoffExponent, \(phy.maximumBackoffExponent)")
        }
        try Self.check(home.air, map)
        return home
    }

    /// No order of the bench may overtake the air.
    private static func check(_ air: AirSettings, _ map: YAMLMap) throws(YAMLError) {
        let phy = air.phy
        let soonest = phy.assessment + phy.turnaround + phy.synchronisation + phy.byte * 5
        guard air.benchLatency <= soonest else { return }
        let bench = try map.optional("bench")
        let phyField = try map.optional("phy")
        throw (bench ?? phyField ?? map.field).error(
            "bench.latency, \(ProfileText.duration(air.benchLatency)), must be longer than the "
                + "shortest frame takes from one radio to another with these settings of phy, "
                + ProfileText.duration(soonest))
    }

    private static func channels(_ field: YAMLField) throws(YAMLError) -> [UInt8] {
        var channels: [UInt8] = []
        for element in try field.list() {
            let channel = try element.integer(UInt8.self, in: 11...26)
            guard !channels.contains(channel) else {
                throw element.error("channel \(channel) stands in the list already")
            }
            channels.append(channel)
        }
        guard !channels.isEmpty else { throw field.error("expected at least one channel") }
        return channels
    }

    /// Devices by name, by type or by EUI-64.
    private static func members(
        _ field: YAMLField, of devices: [HomeDevice]
    ) throws(YAMLError) -> Set<EUI64> {
        var members: Set<EUI64> = []
        for element in try field.list() {
            let text = try element.text()
            let named = devices.filter {
                $0.name == text || $0.profile.type.rawValue == text || $0.eui64 == EUI64(text)
            }
            guard !named.isEmpty else {
                throw element.error(
                    "'\(YAMLField.shortened(text))' is no device of this home; give a device's "
                        + "name, a type such as PPMID for all of it, or an EUI-64")
            }
            members.formUnion(named.map(\.eui64))
        }
        return members
    }

    private func hub(
        _ field: YAMLField, taken: inout [EUI64: String]
    ) throws(YAMLError) -> HomeHub {
        let map = try field.map(keys: Self.schema.keys(under: "hub"))
        let reference = try map.required("profile")
        let profile = try HubLoader.load(library.open(.hub, from: reference, of: file))
        let firmware = try map.required("firmware")
        let version = try firmware.integer(UInt32.self)
        try FirmwareTable.check(version, in: profile.firmware, of: profile.name, firmware)
        let field = try map.required("eui64")
        let address = try eui64(field, of: Self.hubName, taken: &taken)
        let signer = try key(map.optional("signer"))
        let name = "\(Self.hubName) as CHF"
        var chf = HomeHub.usualCHF(address)
        if let field = try map.optional("chf") {
            chf = try eui64(field, of: name, taken: &taken)
        } else {
            taken[chf] = name
        }
        var hub = HomeHub(
            name: Self.hubName, profile: profile, eui64: address, firmware: version,
            signer: signer, chf: chf)
        if let field = try map.optional("status") { hub.status = try field.choice() }
        return hub
    }

    private func devices(
        _ field: YAMLField, taken: inout [EUI64: String]
    ) throws(YAMLError) -> [HomeDevice] {
        let fields = try field.list()
        guard (1...Self.deviceLimit).contains(fields.count) else {
            throw field.error(
                "expected 1 to \(Self.deviceLimit) devices, found \(fields.count)")
        }
        var devices: [HomeDevice] = []
        for field in fields {
            let device = try device(field, after: devices, taken: &taken)
            devices.append(device)
        }
        return devices
    }

    private func device(
        _ field: YAMLField, after devices: [HomeDevice], taken: inout [EUI64: String]
    ) throws(YAMLError) -> HomeDevice {
        let map = try field.map(keys: Self.schema.keys(under: "devices[]"))
        let isLogged = try map.optional("logged")?.boolean() ?? true
        let reference = try map.required("profile")
        let profile = try DeviceLoader.load(library.open(.device, from: reference, of: file))
        let role = profile.type.rawValue
        let nameField = try map.optional("name")
        let name = try nameField?.text() ?? role
        guard Self.isName(name, of: role) else {
            throw (nameField ?? field).error(
                "expected '\(role)', or that and a number such as '\(role)-2', for a device of "
                    + "this type; found '\(YAMLField.shortened(name))'")
        }
        guard !devices.contains(where: { $0.name == name }) else {
            let numbers = (2...).lazy.map { "\(role)-\($0)" }
            let free = numbers.first { free in !devices.contains { $0.name == free } } ?? role
            throw (nameField ?? field).error(
                "a device above is called '\(name)' already; name this one '\(free)'")
        }
        let code = try map.required("installCode")
        let installCode: InstallCode
        do {
            installCode = try InstallCode(text: try code.text())
        } catch let error as InstallCodeError {
            throw code.error("\(error)")
        } catch let error as YAMLError {
            throw error
        } catch {
            preconditionFailure("only the two errors above are thrown")
        }
        let firmware = try map.required("firmware")
        let version = try firmware.integer(UInt32.self)
        try FirmwareTable.check(version, in: profile.firmware, of: profile.name, firmware)
        let supplier = try map.optional("supplier")
        if profile.type == .ppmid {
            if let supplier {
                throw supplier.error(
                    "a PPMID holds no supplier's credentials and its images have no signature; "
                        + "remove the line")
            }
        } else if supplier == nil {
            throw field.error(
                "the field 'supplier' is missing; it names the key file of the supplier whose "
                    + "signature the \(role) trusts")
        }
        var device = HomeDevice(
            name: name, profile: profile,
            eui64: try eui64(map.required("eui64"), of: name, taken: &taken),
            installCode: installCode, firmware: version, supplier: try key(supplier))
        device.isLogged = isLogged
        if let field = try map.optional("status") { device.status = try field.choice() }
        if let field = try map.optional("supplierID") { device.supplierID = try field.eui64() }
        return device
    }

    /// The role, or the role and a number: `ESME`, `ESME-2`.
    private static func isName(_ name: String, of role: String) -> Bool {
        guard name.hasPrefix(role) else { return false }
        let rest = name.dropFirst(role.count)
        if rest.isEmpty { return true }
        let digits = rest.dropFirst().utf8
        return rest.hasPrefix("-") && (1...3).contains(digits.count)
            && digits.first != UInt8(ascii: "0")
            && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    private func eui64(
        _ field: YAMLField, of name: String, taken: inout [EUI64: String]
    ) throws(YAMLError) -> EUI64 {
        let address = try field.eui64()
        guard address != .unknown, address.rawValue != 0 else {
            throw field.error("\(address) stands for no device; no device can have it")
        }
        if let other = taken.updateValue(name, forKey: address) {
            throw field.error("\(address) is the EUI-64 of \(other) already")
        }
        return address
    }

    /// The key in a file that is beside the home or in the folder of keys.
    private func key(_ field: YAMLField?) throws(YAMLError) -> P256.PublicKey? {
        guard let field else { return nil }
        let name = try field.reference()
        let folders = [file.folder, "\(library.firmware)/keys"]
        for path in name.hasPrefix("/") ? [name] : folders.map({ "\($0)/\(name)" }) {
            let bytes: [UInt8]
            do {
                bytes = try Files.read(path, limit: KeyFiles.maximumSize)
            } catch .missing {
                continue
            } catch {
                throw field.error("\(error)")
            }
            do {
                return try P256.PublicKey(any: bytes)
            } catch {
                throw field.error("'\(path)' holds no usable P-256 key: \(error)")
            }
        }
        throw field.error(
            "no key file '\(YAMLField.shortened(name))', neither beside this file nor in "
                + "'\(folders[1])'; name a certificate, a public key or a private key")
    }

    private func links(
        _ field: YAMLField, members: [String], common: Link
    ) throws(YAMLError) -> [HomeLink] {
        struct Direction: Hashable {
            var from: String
            var to: String
        }
        var lines: [Direction: Int] = [:]
        return try field.list { element throws(YAMLError) in
            let map = try element.map(keys: Self.schema.keys(under: "links[]"))
            let ends = try LinkLoader.ends(map, members: members, oneWay: true)
            var directions = [Direction(from: ends.from, to: ends.to)]
            if !ends.isOneWay { directions.append(Direction(from: ends.to, to: ends.from)) }
            for direction in directions {
                if let line = lines.updateValue(element.line, forKey: direction) {
                    throw element.error(
                        "the link from \(direction.from) to \(direction.to) is given in line "
                            + "\(line) already")
                }
            }
            return HomeLink(
                from: ends.from, to: ends.to, link: try LinkLoader.read(map, base: common),
                isOneWay: ends.isOneWay)
        }
    }
}

/// Links, which homes and scenarios describe with the same fields.
enum LinkLoader {
    static let rssiType = "number, -127 to 20 dBm"
    static let lossType = "share"

    /// `rssi` and `loss`; what is left out stays as in `base`.
    static func read(_ map: YAMLMap, base: Link) throws(YAMLError) -> Link {
        var link = base
        if let field = try map.optional("rssi") { link.rssi = try field.integer(in: -127...20) }
        if let field = try map.optional("loss") { link.lossPerMillion = try field.perMillion() }
        return link
    }

    /// `between: [a, b]` for both ways, or, where `oneWay` says so, `from: a` and `to: b`.
    static func ends(
        _ map: YAMLMap, members: [String], oneWay: Bool
    ) throws(YAMLError) -> (from: String, to: String, isOneWay: Bool) {
        let between = try map.optional("between")
        var ends: [YAMLField] = []
        if let between {
            let from = try map.optional("from")
            let to = try map.optional("to")
            if let extra = from ?? to {
                throw extra.error(
                    "stands beside 'between'; give 'between' for a link both ways, or 'from' and "
                        + "'to' for one way")
            }
            ends = try between.list()
            guard ends.count == 2 else {
                throw between.error("expected two members such as [CH, ESME], found \(ends.count)")
            }
        } else if try map.optional("from") == nil, try map.optional("to") == nil {
            throw map.field.error(
                "the field 'between' is missing"
                    + (oneWay ? " (or 'from' and 'to', for one way only)" : ""))
        } else {
            ends = [try map.required("from"), try map.required("to")]
        }
        var names: [String] = []
        for end in ends {
            names.append(try end.name(among: members, as: "member", inFile: "this home"))
        }
        guard names[0] != names[1] else {
            throw ends[1].error("a link has two different ends, found '\(names[0])' twice")
        }
        return (names[0], names[1], between == nil)
    }
}
