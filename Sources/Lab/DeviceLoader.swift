import Devices
import GBCS
import Radio
import Wire
import Zigbee

/// Reads a device profile, a file in `Profiles/devices/`.
struct DeviceLoader {
    static let schema = ProfileSchema(
        fields: [
            ProfileField("kind", "device", "required"),
            ProfileField("title", "text", "required"),
            ProfileField("type", "ESME, GSME, PPMID or HCALCS", "required"),
            ProfileField("manufacturer", "number, 0 to 0xFFFF", "required"),
            ProfileField("model", "text", "required"),
            ProfileField("imageType", "number, 0 to 0xFFFE", "required"),
            ProfileField("hardwareVersion", "number, 0 to 0xFFFF", "required"),
            ProfileField("firmware[].from", "version", "0x00000000"),
            ProfileField("firmware[].to", "version", "0xFFFFFFFF"),
            ProfileField("firmware[].otaClient", "true or false", "true"),
            ProfileField(
                "firmware[].gbcsVersion", YAMLField.gbcsVersionType,
                DeviceCapabilities().gbcsVersion),
        ] + settings.map { $0.field(in: "", of: unchanged) }
            + power.map { $0.field(in: "power", of: unchanged) }
            + sleep.map { $0.field(in: "sleep", of: SleepSettings()) }
            + ota.map { $0.field(in: "ota", of: unchanged) }
            + time.map { $0.field(in: "time", of: unchanged) }
            + keyEstablishment.map { $0.field(in: "keyEstablishment", of: unchanged) }
            + TunnelLoader.tunnel(\DeviceProfile.tunnel).map {
                $0.field(in: "tunnel", of: unchanged)
            }
            + [
                ProfileField("resume", "fromZero, or a map", "everyBlocks 32"),
                ProfileField("resume.everyBlocks", "number, 1 to 65536", "32"),
            ]
            + stack.map { $0.field(in: "stack", of: unchanged) }
            + messages.map { $0.field(in: "messages", of: unchanged) }
            + flash.map { $0.field(in: "flash", of: unchanged) })

    /// A profile with every default, of a type other than PPMID.
    private static var unchanged: DeviceProfile { DeviceProfile(type: .esme, name: "") }

    private static var settings: [ProfileSetting<DeviceProfile>] {
        [
            .number("endpoint", \.endpoint, in: 1...240),
            .number("applicationDevice", \.applicationDevice, in: 0...0xFFFF)
                .preset("0x0501; an HCALCS 0x0504, a PPMID 0x0506"),
            .flag("router", \.isRouter),
            .flag("mainsPowered", \.isMainsPowered),
            .flag("acknowledgesBlocks", \.acknowledgesBlocks),
            .duration("bootTime", \.bootTime),
            .duration("checkPerKiB", \.checkPerKiB, in: .zero...(.minutes(10))),
            .duration("farewell", \.farewell),
            .duration("restartDelay", \.restartDelay),
            .duration("serverRetry", \.serverRetry),
            .duration("noServerRetry", \.noServerRetry),
            .number("factoryStamp", \.factoryStamp, in: 0...UInt32.max),
        ]
    }

    private static var power: [ProfileSetting<DeviceProfile>] {
        [
            .choice("battery", \.power.battery) { $0.rawValue },
            .choice("level", \.power.level) { "\($0)" },
        ]
    }

    private static var sleep: [ProfileSetting<SleepSettings>] {
        [
            .duration("interval", \.interval),
            .duration("maximumAwake", \.maximumAwake),
            .number("blocksPerWake", \.blocksPerWake, in: 1...1_000_000),
            .duration("linger", \.linger, in: .milliseconds(1)...(.hours(24))),
            .duration("serverWait", \.serverWait),
            .duration("answerWait", \.answerWait),
        ]
    }

    private static var ota: [ProfileSetting<DeviceProfile>] {
        [
            .number("blockSize", \.ota.blockSize, in: 1...56, unit: "bytes"),
            .duration("responseTimeout", \.ota.responseTimeout),
            .number("blockRetries", \.ota.blockRetries, in: 0...1_000),
            .number("pageSize", \.ota.pageSize, in: 0...65_535, unit: "bytes"),
            .duration(
                "pageSpacing", \.ota.pageSpacing,
                in: .zero...(.milliseconds(Int64(UInt16.max)))),
            .number("pageRetries", \.ota.pageRetries, in: 0...1_000),
            .duration("firstQuery", \.ota.firstQuery),
            .duration("queryInterval", \.ota.queryInterval),
            .duration("retryInterval", \.ota.retryInterval),
            .duration("endRepeat", \.ota.endRepeat),
            .number("endRetries", \.ota.endRetries, in: 0...1_000),
            .number("endLimit", \.ota.endLimit, in: 0...1_000_000),
            .flag("appliesAfterTimeout", \.ota.appliesAfterTimeout),
            .flag("blockPeriodInSeconds", \.ota.blockPeriodInSeconds),
            .flag("supportsBlockPeriod", \.ota.supportsBlockPeriod),
            .flag("acceptsDowngrade", \.ota.acceptsDowngrade),
            .flag("activationByOrderOnly", \.ota.activationByOrderOnly)
                .preset("true; a PPMID false"),
            .flag("reportsExternalEvent", \.ota.reportsExternalEvent),
            .flag("refusesWrongImage", \.ota.refusesWrongImage),
            .flag("includesRequester", \.ota.includesRequester),
            .numbers(
                "furtherImageTypes", \.ota.furtherImageTypes, in: 0...0xFFFE, limit: 8),
            .number("deviceFile", \.ota.deviceFile, in: 0...0xFFFE),
        ]
    }

    private static var stack: [ProfileSetting<DeviceProfile>] {
        [
            .duration("keyWait", \.stack.keyWait),
            .duration("joinRetry", \.stack.joinRetry),
            .duration("requestWait", \.stack.requestWait),
            .duration("associationWait", \.stack.associationWait),
            .duration("fastPoll", \.stack.fastPoll),
            .duration("firstPoll", \.stack.firstPoll),
            .duration("pollWait", \.stack.pollWait),
            .number("parentFailures", \.stack.parentFailures, in: 1...1_000),
            .duration("rejoinRetry", \.stack.rejoinRetry),
            .number("endDeviceTimeout", \.stack.endDeviceTimeout, in: 0...14),
            .number("keepAliveLimit", \.stack.keepAliveLimit, in: 1...1_000),
            .duration("keepAliveWait", \.stack.keepAliveWait),
            .number("unknownKeyLimit", \.stack.unknownKeyLimit, in: 1...1_000),
        ] + StackLoader.network(\.network)
    }

    private static var time: [ProfileSetting<DeviceProfile>] {
        [
            .duration("afterJoining", \.time.afterJoining),
            .duration("interval", \.time.interval),
            .duration("retryInterval", \.time.retryInterval),
        ]
    }

    private static var messages: [ProfileSetting<DeviceProfile>] {
        [
            .choice("receiptForm", \.messages.receiptForm) { $0.rawValue }
                .preset("dlms; a GSME gbz")
        ] + MessageFields.common(\.messages)
    }

    private static var keyEstablishment: [ProfileSetting<DeviceProfile>] {
        EstablishmentLoader.common(\.keyEstablishment) + [
            .duration("afterJoining", \.keyEstablishment.afterJoining),
            .duration("retryInterval", \.keyEstablishment.retryInterval),
        ]
    }

    private static var flash: [ProfileSetting<DeviceProfile>] {
        [
            .size("size", \.flash.size, in: (64 << 10)...(64 << 20)),
            .size("pageSize", \.flash.pageSize, in: (2 << 10)...(64 << 10)),
            .duration("program", \.flash.programPerByte, in: .zero...(.milliseconds(100))),
            .duration("erase", \.flash.erasePage, in: .zero...(.seconds(100))),
        ]
    }

    static func load(_ file: ProfileFile) throws(YAMLError) -> DeviceProfile {
        let map = try file.top.map(keys: schema.keys())
        _ = try map.required("title").oneLine()
        let type: DeviceType = try map.required("type").choice(
            of: DeviceType.allCases.filter { $0 != .communicationsHub }
                .map { (word: $0.rawValue, value: $0) })
        var profile = DeviceProfile(type: type, name: file.name)
        profile.manufacturer = try map.required("manufacturer").integer()
        profile.model = try map.required("model").oneLine()
        profile.imageType = try map.required("imageType").integer(in: 0...0xFFFE)
        profile.hardwareVersion = try map.required("hardwareVersion").integer()
        if let field = try map.optional("firmware") {
            profile.firmware = try FirmwareTable.read(field, keys: schema.keys(under: "firmware[]"))
            { map throws(YAMLError) in
                var capabilities = DeviceCapabilities()
                if let field = try map.optional("otaClient") {
                    capabilities.hasOTAClient = try field.boolean()
                }
                if let field = try map.optional("gbcsVersion") {
                    capabilities.gbcsVersion = try field.gbcsVersion()
                }
                return capabilities
            }
        }
        try map.read(settings, into: &profile)
        try map.read(group: "power", power, into: &profile)
        if let field = try map.optional("sleep") {
            profile.sleep = try sleepSettings(field, router: profile.isRouter)
        }
        try map.read(group: "ota", ota, into: &profile)
        try map.read(group: "time", time, into: &profile)
        try map.read(group: "keyEstablishment", keyEstablishment, into: &profile)
        try map.read(group: "messages", messages, into: &profile)
        try map.read(group: "tunnel", TunnelLoader.tunnel(\.tunnel), into: &profile)
        if let field = try map.optional("resume") { profile.resume = try resume(field) }
        try map.read(group: "stack", stack, into: &profile)
        try map.read(group: "flash", flash, into: &profile)
        if let field = try map.optional("flash") { try check(profile.flash, field) }
        return profile
    }

    /// The fewest pages: a device's journal takes some of them, and an image the rest.
    private static let leastPages = 8

    private static func check(_ flash: FlashGeometry, _ field: YAMLField) throws(YAMLError) {
        let (size, page) = (ProfileText.size(flash.size), ProfileText.size(flash.pageSize))
        guard flash.size % flash.pageSize == 0 else {
            throw field.error(
                "the size, \(size), is not a whole number of pages of \(page); change one of them")
        }
        guard flash.size / flash.pageSize >= leastPages else {
            throw field.error(
                "the size, \(size), is less than \(leastPages) pages of \(page); change one of them"
            )
        }
    }

    private static func sleepSettings(
        _ field: YAMLField, router: Bool
    ) throws(YAMLError) -> SleepSettings {
        guard !router else {
            throw field.error(
                "a router listens all the time and cannot sleep; remove 'sleep' or 'router: true'")
        }
        var settings = SleepSettings()
        let map = try field.map(keys: Self.sleep.map(\.name))
        try map.read(Self.sleep, into: &settings)
        guard settings.maximumAwake <= settings.interval else {
            throw field.error(
                "maximumAwake, \(ProfileText.duration(settings.maximumAwake)), is longer than "
                    + "interval, \(ProfileText.duration(settings.interval))")
        }
        return settings
    }

    private static func resume(_ field: YAMLField) throws(YAMLError) -> ResumePolicy {
        guard field.isMap else {
            return try field.choice(of: [(word: "fromZero", value: ResumePolicy.fromZero)])
        }
        let map = try field.map(keys: schema.keys(under: "resume"))
        return .offset(everyBlocks: try map.required("everyBlocks").integer(in: 1...65_536))
    }
}

/// The settings of GBCS messages that devices and hubs have in common.
enum MessageFields {
    static func common<Target>(
        _ path: WritableKeyPath<Target, MessageSettings>
    ) -> [ProfileSetting<Target>] {
        [
            .number(
                "securityLogSize", path.appending(path: \.securityLogSize), in: 1...1_000),
            .number("refusalCode", path.appending(path: \.refusalCode), in: 0...0xFFFF)
                .preset("0x8F3D"),
            .number("queueSize", path.appending(path: \.queueSize), in: 1...64),
            .number(
                "counterReserve", path.appending(path: \.counterReserve), in: 2...65_536),
        ]
    }
}

/// The table of a profile that says what holds from which firmware version to which.
enum FirmwareTable {
    /// The most lines read.
    static let limit = 256

    /// Each line has `from` and `to`, both included, beside what `read` takes from it. Lines may
    /// leave gaps, but not overlap.
    static func read<Value: Sendable>(
        _ field: YAMLField, keys: [String],
        _ read: (YAMLMap) throws(YAMLError) -> Value
    ) throws(YAMLError) -> [FirmwareRange<Value>] {
        let lines = try field.list()
        guard (1...limit).contains(lines.count) else {
            throw field.error("expected 1 to \(limit) ranges of versions, found \(lines.count)")
        }
        var ranges: [(range: FirmwareRange<Value>, line: Int)] = []
        for line in lines {
            let map = try line.map(keys: keys)
            let from = try map.optional("from")?.integer(UInt32.self) ?? 0
            let to = try map.optional("to")
            let last = try to?.integer(UInt32.self) ?? .max
            guard from <= last else {
                throw (to ?? line).error(
                    "\(ProfileText.version(last)) is below 'from', \(ProfileText.version(from))")
            }
            let range = FirmwareRange(from...last, try read(map))
            if let other = ranges.first(where: { $0.range.versions.overlaps(range.versions) }) {
                throw line.error(
                    "\(text(range)) overlaps \(text(other.range)) in line \(other.line); "
                        + "each version belongs to one range")
            }
            ranges.append((range, line.line))
        }
        return ranges.map(\.range)
    }

    /// Checks that a table says something for `version`, which `field` gives.
    static func check<Value>(
        _ version: UInt32, in ranges: [FirmwareRange<Value>], of profile: String,
        _ field: YAMLField
    ) throws(YAMLError) {
        guard !ranges.contains(where: { $0.versions.contains(version) }) else { return }
        let known = ranges.prefix(8).map(text).joined(separator: ", ")
        throw field.error(
            "the profile '\(profile)' says nothing of firmware \(ProfileText.version(version)); "
                + "it knows \(known)\(ranges.count > 8 ? " and more" : "")")
    }

    private static func text<Value>(_ range: FirmwareRange<Value>) -> String {
        ProfileText.version(range.versions.lowerBound) + "-"
            + ProfileText.version(range.versions.upperBound)
    }
}

/// What hubs and devices may both set of the ZigBee stack, under `stack`.
enum StackLoader {
    static func network<Target>(
        _ network: WritableKeyPath<Target, NetworkSettings>
    ) -> [ProfileSetting<Target>] {
        func duration(
            _ name: String, _ path: WritableKeyPath<NetworkSettings, Interval>,
            in range: ClosedRange<Interval> = ProfileSetting<Target>.anyDuration
        ) -> ProfileSetting<Target> {
            .duration(name, network.appending(path: path), in: range)
        }
        func count(
            _ name: String, _ path: WritableKeyPath<NetworkSettings, Int>,
            in range: ClosedRange<Int> = 0...20
        ) -> ProfileSetting<Target> {
            .number(name, network.appending(path: path), in: range)
        }
        let short = Interval.zero...Interval.seconds(10)
        return [
            duration("apsAckWait", \.apsAckWait),
            count("apsRetries", \.apsRetries),
            count("unicastRetries", \.unicastRetries),
            duration("unicastRetryDelay", \.unicastRetryDelay),
            duration("indirectPersistence", \.indirectPersistence),
            duration("scanDuration", \.scanDuration),
            duration("linkStatusPeriod", \.linkStatusPeriod),
            count("routerAgeLimit", \.routerAgeLimit, in: 1...1_000),
            .number("goodLink", network.appending(path: \.goodLink), in: 1...255),
            count("broadcastRetries", \.broadcastRetries),
            duration("broadcastJitter", \.broadcastJitter, in: short),
            duration("passiveAckTimeout", \.passiveAckTimeout),
            duration("broadcastDelivery", \.broadcastDelivery),
            duration("routeDiscovery", \.routeDiscovery),
            count("routeRequestRetries", \.routeRequestRetries),
            duration("routeRequestInterval", \.routeRequestInterval),
            duration("routeRequestJitter", \.routeRequestJitter, in: short),
            .number(
                "counterRestart", network.appending(path: \.counterRestart), in: 0...0x8000_0000),
            .number(
                "counterReserve", network.appending(path: \.counterReserve), in: 16...0x10_0000),
            .number("radius", network.appending(path: \.radius), in: 1...255),
            duration("macDuplicateMemory", \.macDuplicateMemory),
            duration("apsDuplicateMemory", \.apsDuplicateMemory),
            .number("childTimeout", network.appending(path: \.childTimeout), in: 0...14),
            .number(
                "maximumBufferSize", network.appending(path: \.maximumBufferSize), in: 1...127),
            .number(
                "maximumIncomingTransfer", network.appending(path: \.maximumIncomingTransfer),
                in: 0...0x7FFF),
            .number(
                "maximumOutgoingTransfer", network.appending(path: \.maximumOutgoingTransfer),
                in: 0...0x7FFF),
            count("fragmentSize", \.fragmentSize, in: 16...80),
            count("fragmentWindow", \.fragmentWindow, in: 1...8),
            duration("fragmentSpacing", \.fragmentSpacing, in: short),
            count("fragmentTransfers", \.fragmentTransfers, in: 1...16),
            .flag("asksTransferSize", network.appending(path: \.asksTransferSize)),
            count("reassemblies", \.reassemblies, in: 1...16),
            count("reassembliesPerPartner", \.reassembliesPerPartner, in: 1...16),
            duration("reassemblyWait", \.reassemblyWait),
            duration("reassemblyLimit", \.reassemblyLimit),
            .number("stackRevision", network.appending(path: \.stackRevision), in: 0...127),
        ]
    }
}
