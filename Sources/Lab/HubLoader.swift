import Devices
import GBCS
import Wire

/// Reads a hub profile, a file in `Profiles/hubs/`.
struct HubLoader {
    static let schema = ProfileSchema(
        fields: [
            ProfileField("kind", "hub", "required"),
            ProfileField("title", "text", "required"),
            ProfileField("manufacturer", "number, 0 to 0xFFFF", "required"),
            ProfileField("model", "text", "required"),
            ProfileField("imageType", "number, 0 to 0xFFFE", "required"),
            ProfileField("hardwareVersion", "number, 0 to 0xFFFF", "required"),
            ProfileField("firmware[].from", "version", "0x00000000"),
            ProfileField("firmware[].to", "version", "0xFFFFFFFF"),
            ProfileField("firmware[].delivers", "list of device types", "all four"),
            ProfileField(
                "firmware[].discardsSilently", "true or false",
                "\(HubCapabilities().discardsSilently)"),
            ProfileField(
                "firmware[].servesPages", "true or false", "\(HubCapabilities().servesPages)"),
            ProfileField(
                "firmware[].servesDeviceFiles", "true or false",
                "\(HubCapabilities().servesDeviceFiles)"),
            ProfileField(
                "firmware[].reportsTransfers", "true or false",
                "true if it delivers to PPMID or HCALCS"),
            ProfileField(
                "firmware[].gbcsVersion", YAMLField.gbcsVersionType,
                "4.0 if it delivers to PPMID or HCALCS, otherwise 3.2"),
        ] + settings.map { $0.field(in: "", of: HubProfile(name: "")) }
            + keyUpdate.map { $0.field(in: "keyUpdate", of: HubProfile(name: "")) }
            + keyEstablishment.map {
                $0.field(in: "keyEstablishment", of: HubProfile(name: ""))
            }
            + ota.map { $0.field(in: "ota", of: HubProfile(name: "")) }
            + messages.map { $0.field(in: "messages", of: HubProfile(name: "")) }
            + flash.map { $0.field(in: "flash", of: HubProfile(name: "")) }
            + TunnelLoader.tunnel(\HubProfile.tunnel).map {
                $0.field(in: "tunnel", of: HubProfile(name: ""))
            }
            + TunnelLoader.mail.map { $0.field(in: "mail", of: HubProfile(name: "")) }
            + StackLoader.network(\HubProfile.network).map {
                $0.field(in: "stack", of: HubProfile(name: ""))
            })

    /// The smallest image slot.
    private static let leastSlot = 4096
    /// The most flash a hub can have for images.
    private static let mostFlash = 64 << 20

    private static var settings: [ProfileSetting<HubProfile>] {
        [
            .number("endpoint", \.endpoint, in: 1...240),
            .number("applicationDevice", \.applicationDevice, in: 0...0xFFFF).preset("0x0508"),
            .number("imageSlots", \.imageSlots, in: 1...64),
            .size("imageSlotSize", \.imageSlotSize, in: leastSlot...(16 << 20)),
            .duration("permitJoining", \.permitJoining, in: .zero...(.hours(24))),
            .duration("permitRenewal", \.permitRenewal, in: .seconds(1)...(.seconds(254))),
            .flag("notifiesImages", \.notifiesImages),
            .duration("readRetry", \.readRetry),
            .number("readLimit", \.readLimit, in: 1...1_000_000),
            .duration("readPause", \.readPause),
            .number("deviceLogLimit", \.deviceLogLimit, in: 1...64),
            .duration("leaveRetry", \.leaveRetry),
            .flag("refusesAssociation", \.refusesAssociation),
            .duration("bootTime", \.bootTime),
            .duration("restartDelay", \.restartDelay),
        ]
    }

    private static var keyUpdate: [ProfileSetting<HubProfile>] {
        [
            .flag("broadcast", \.keyUpdate.isBroadcast),
            .duration("pace", \.keyUpdate.pace),
            .duration("switchAfter", \.keyUpdate.switchAfter),
        ]
    }

    private static var keyEstablishment: [ProfileSetting<HubProfile>] {
        EstablishmentLoader.common(\.keyEstablishment) + [
            .flag("required", \.requiresEstablishedKeys),
            .number("sessions", \.keyEstablishment.sessions, in: 1...64),
        ]
    }

    private static var ota: [ProfileSetting<HubProfile>] {
        [
            .number("downloadLimit", \.ota.downloadLimit, in: 1...64),
            .duration("downloadIdle", \.ota.downloadIdle),
            .duration("waitTime", \.ota.waitTime),
            .duration(
                "blockPeriod", \.ota.blockPeriod,
                in: .zero...(.milliseconds(Int64(UInt16.max)))),
            .flag("blockPeriodInSeconds", \.ota.blockPeriodInSeconds),
            .flag("sendsBlockPeriod", \.ota.sendsBlockPeriod),
            .choice("unknownImage", \.ota.unknownImage) { $0.rawValue },
            .flag("wantsDefaultResponses", \.ota.wantsDefaultResponses),
            .choice("times", \.ota.times) { $0.rawValue },
            .number("pageLimit", \.ota.pageLimit, in: 1...64),
            .duration("pageSpacing", \.ota.pageSpacing),
            .duration("upgradeDelay", \.ota.upgradeDelay, in: .zero...longestDelay),
            .duration("upgradeHold", \.ota.upgradeHold, in: .zero...longestDelay),
            .choice("notify", \.ota.notify) { $0.rawValue },
            .choice("notifyPayload", \.ota.notifyPayload) { "\($0)" },
            .number("notifyJitter", \.ota.notifyJitter, in: 1...100),
            .number("notifyLimit", \.ota.notifyLimit, in: 1...8),
            .flag("checksInstallableFrom", \.ota.checksInstallableFrom),
            .flag("obeysForceReplace", \.ota.obeysForceReplace),
            .flag("offersRefused", \.ota.offersRefused),
        ]
    }

    private static var messages: [ProfileSetting<HubProfile>] {
        [
            .choice("activator", \.messages.activator) { $0.rawValue },
            .duration("joinTimeUnit", \.messages.joinTimeUnit, in: .seconds(1)...(.seconds(60))),
        ]
            + MessageFields.common(\.messages)
    }

    private static var longestDelay: Interval { .hours(24 * 3_650) }

    private static var flash: [ProfileSetting<HubProfile>] {
        [
            .size("pageSize", \.flashPart.pageSize, in: (2 << 10)...(64 << 10)),
            .duration("program", \.flashPart.programPerByte, in: .zero...(.milliseconds(100))),
            .duration("erase", \.flashPart.erasePage, in: .zero...(.seconds(100))),
        ]
    }

    static func load(_ file: ProfileFile) throws(YAMLError) -> HubProfile {
        let map = try file.top.map(keys: schema.keys())
        _ = try map.required("title").oneLine()
        var profile = HubProfile(name: file.name)
        profile.manufacturer = try map.required("manufacturer").integer()
        profile.model = try map.required("model").oneLine()
        profile.imageType = try map.required("imageType").integer(in: 0...0xFFFE)
        profile.hardwareVersion = try map.required("hardwareVersion").integer()
        if let field = try map.optional("firmware") {
            profile.firmware = try FirmwareTable.read(
                field, keys: schema.keys(under: "firmware[]"), capabilities)
        }
        try map.read(settings, into: &profile)
        try map.read(group: "ota", ota, into: &profile)
        try map.read(group: "messages", messages, into: &profile)
        try map.read(group: "tunnel", TunnelLoader.tunnel(\.tunnel), into: &profile)
        try map.read(group: "mail", TunnelLoader.mail, into: &profile)
        if profile.mail.interfaceEndpoint == profile.endpoint {
            throw map.field.error(
                "mail.interfaceEndpoint is \(profile.endpoint), and so is endpoint: expected two "
                    + "different ones")
        }
        try map.read(group: "flash", flash, into: &profile)
        let pageSize = profile.flashPart.pageSize
        if profile.imageSlotSize % pageSize != 0 {
            let whole = (profile.imageSlotSize / pageSize + 1) * pageSize
            throw (try map.optional("imageSlotSize") ?? map.field).error(
                "is not a whole number of flash pages of \(ProfileText.size(pageSize)): expected "
                    + "such as '\(ProfileText.size(whole))'")
        }
        if profile.imageSlots * profile.imageSlotSize > mostFlash {
            throw map.field.error(
                "\(profile.imageSlots) image slots of \(ProfileText.size(profile.imageSlotSize)) "
                    + "are more than \(ProfileText.size(mostFlash)); lower imageSlots or "
                    + "imageSlotSize")
        }
        try map.read(group: "keyUpdate", keyUpdate, into: &profile)
        try map.read(group: "keyEstablishment", keyEstablishment, into: &profile)
        try map.read(group: "stack", StackLoader.network(\.network), into: &profile)
        return profile
    }

    private static func capabilities(_ map: YAMLMap) throws(YAMLError) -> HubCapabilities {
        var capabilities = HubCapabilities()
        if let field = try map.optional("delivers") {
            let types: [DeviceType] = try field.list { element throws(YAMLError) in
                try element.choice(
                    of: DeviceType.allCases.filter { $0 != .communicationsHub }
                        .map { (word: $0.rawValue, value: $0) })
            }
            capabilities = HubCapabilities(delivers: Set(types))
        }
        if let field = try map.optional("discardsSilently") {
            capabilities.discardsSilently = try field.boolean()
        }
        if let field = try map.optional("servesPages") {
            capabilities.servesPages = try field.boolean()
        }
        if let field = try map.optional("servesDeviceFiles") {
            capabilities.servesDeviceFiles = try field.boolean()
        }
        if let field = try map.optional("reportsTransfers") {
            capabilities.reportsTransfers = try field.boolean()
        }
        if let field = try map.optional("gbcsVersion") {
            capabilities.gbcsVersion = try field.gbcsVersion()
        }
        return capabilities
    }
}
