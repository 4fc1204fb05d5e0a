import Air
import DCC
import Devices
import Evidence
import GBCS
import Wire

/// Reads a scenario, a file in `Profiles/scenarios/`, and checks it against its home and the
/// manifest.
struct ScenarioLoader {
    let library: ProfileLibrary
    let file: ProfileFile

    static let schema = ProfileSchema(
        fields: [
            ProfileField("kind", "scenario", "required"),
            ProfileField("title", "text", "required"),
            ProfileField("home", "a home's name or path", "required"),
            ProfileField("start", "moment", "required"),
            ProfileField("seed", "number, 0 to 18446744073709551615", "1"),
            ProfileField("timeLimit", "duration", ProfileText.duration(timeLimit)),
            ProfileField("activationLimit", "duration", ProfileText.duration(activationLimit)),
            ProfileField("lostNode", lostNodes, Scenario.LostNode.fail.rawValue),
            ProfileField("dcc", "a DCC's name or path", "standard, if a step needs one"),
            ProfileField("steps[].title", "text", "the step's action"),
            ProfileField("steps[].within", "duration", "timeLimit; activationLimit for activate"),
            ProfileField("steps[].join", devicesType, "-"),
            ProfileField("steps[].deliver.image", "an image's id", "required"),
            ProfileField("steps[].deliver.to", devicesType, "required"),
            ProfileField("steps[].updateHub", "an image's id, or a map", "-"),
            ProfileField("steps[].updateHub.image", "an image's id", "required"),
            ProfileField("steps[].updateHub.by", carriers, "cs06"),
            ProfileField("steps[].await.outcome", outcomes, "required"),
            ProfileField("steps[].await.devices", devicesType, "required"),
            ProfileField("steps[].await.offset", offsetType, "0"),
            ProfileField("steps[].await.reason", "a reason", "-"),
            ProfileField("steps[].expect.outcome", standings, "required"),
            ProfileField("steps[].expect.devices", devicesType, "required"),
            ProfileField("steps[].expect.reason", "a reason", "-"),
            ProfileField("steps[].activate", devicesType + ", or a map", "-"),
            ProfileField("steps[].activate.devices", devicesType, "required"),
            ProfileField("steps[].activate.by", carriers, "cs06"),
            ProfileField("steps[].activate.at", "moment", "at once"),
            ProfileField("steps[].activate.cancel", "true or false", "false"),
            ProfileField("steps[].activate.supplier", "number, 1 to 9", "1"),
            ProfileField(
                "steps[].activate.expect", answers, "activated; accepted with 'at' or 'cancel'"),
            ProfileField("steps[].activate.reason", "a reason", "-"),
            ProfileField("steps[].message.to", "a member", "required"),
            ProfileField("steps[].message.hex", "hex digits", "-"),
            ProfileField("steps[].message.file", "a file", "-"),
            ProfileField("steps[].awaitMessage.from", "list of members", "required"),
            ProfileField("steps[].awaitMessage.code", "number, 0 to 0xFFFF", "any"),
            ProfileField("steps[].awaitMessage.alert", "number, 0 to 0xFFFF", "any"),
            ProfileField("steps[].request.variant", variants, "required"),
            ProfileField("steps[].request.for", devicesType, "required"),
            ProfileField("steps[].request.image", "an image's id", "required but for 11.2"),
            ProfileField("steps[].request.supplier", "number, 1 to 9", "1"),
            ProfileField("steps[].request.at", "moment", "at once"),
            ProfileField("steps[].request.cancel", "true or false", "false"),
            ProfileField("steps[].request.answer", "a response code", "I99"),
        ]
            + ServiceStep.List.allCases.map {
                ProfileField("steps[].request.\($0.rawValue)", devicesType, "-")
            } + [
                ProfileField("steps[].awaitNotice.code", "a code", "required"),
                ProfileField("steps[].awaitNotice.of", devicesType, "required"),
                ProfileField("steps[].changeSupplier.devices", devicesType, "required"),
                ProfileField("steps[].changeSupplier.to", "number, 1 to 9", "required"),
                ProfileField("steps[].readVersions", devicesType + ", or a map", "-"),
                ProfileField("steps[].readVersions.devices", devicesType, "required"),
                ProfileField("steps[].readVersions.version", "version", "as the attempts ended"),
                ProfileField("steps[].query", devicesType, "-"),
                ProfileField("steps[].queryFile.devices", devicesType, "required"),
                ProfileField("steps[].queryFile.imageType", "number, 0 to 0xFFFE", "required"),
                ProfileField("steps[].cancel", devicesType, "-"),
                ProfileField("steps[].power.device", "a member", "required"),
                ProfileField("steps[].power.on", "true or false", "required"),
                ProfileField("steps[].power.for", "duration", "-"),
                ProfileField("steps[].link.between", "list of two members", "required"),
                ProfileField("steps[].link.rssi", LinkLoader.rssiType, "that of the home"),
                ProfileField("steps[].link.loss", LinkLoader.lossType, "that of the home"),
                ProfileField("steps[].permitJoining", "duration", "-"),
                ProfileField("steps[].updateNetworkKey", "CH", "-"),
                ProfileField("steps[].remove", devicesType, "-"),
                ProfileField("steps[].add", devicesType, "-"),
                ProfileField("steps[].wait", "duration", "-"),
                ProfileField("steps[].waitUntil", "moment", "-"),
            ])

    private static let devicesType = "list of devices, or all"
    private static var lostNodes: String {
        Scenario.LostNode.allCases.map(\.rawValue).joined(separator: ", ")
    }
    private static var outcomes: String {
        ScenarioStep.Milestone.allCases.map(\.rawValue).joined(separator: ", ")
    }
    private static var standings: String {
        AttemptOutcome.allCases.map(\.rawValue).joined(separator: ", ")
    }
    private static var carriers: String {
        ScenarioStep.Carrier.allCases.map(\.rawValue).joined(separator: ", ")
    }
    private static var variants: String {
        ServiceStep.Variant.allCases.map(\.rawValue).joined(separator: ", ")
    }
    private static var answers: String {
        ScenarioStep.ActivationAnswer.allCases.map(\.rawValue).joined(separator: ", ")
    }
    private static var offsetType: String {
        "size, \(ProfileText.size(1)) to \(ProfileText.size(offsetLimit))"
    }
    /// Beyond the size of any image.
    private static let offsetLimit = 16 << 20
    /// The fields of a step that are no action.
    private static let frame = ["title", "within"]
    private static let actions = schema.keys(under: "steps[]").filter { !frame.contains($0) }
    static let timeLimit = Interval.hours(24 * 30)
    /// What an `activate` without `within` may take: a GSME fetches the command at its next wake,
    /// so a device that is quiet for longer is off or broken.
    static let activationLimit = Interval.hours(1)
    /// The most steps read.
    static let stepLimit = 10_000

    func load() throws(YAMLError) -> (scenario: Scenario, home: Home) {
        let map = try file.top.map(keys: Self.schema.keys())
        let title = try map.required("title").oneLine()
        let reference = try map.required("home")
        let homeFile = try library.open(.home, from: reference, of: file)
        let home = try HomeLoader(library: library, file: homeFile).load()
        var scenario = Scenario(
            name: file.name, title: title,
            // A path, wherever the name alone would lead somewhere else.
            home: homeFile.path == library.path(.home, homeFile.name)
                ? homeFile.name : homeFile.path,
            start: try map.required("start").date(),
            seed: try map.optional("seed")?.integer(UInt64.self) ?? 1,
            timeLimit: try map.optional("timeLimit")?.duration(within: Self.limits)
                ?? Self.timeLimit,
            lostNode: try map.optional("lostNode")?.choice(Scenario.LostNode.self) ?? .fail,
            steps: [])
        guard scenario.start.advanced(by: scenario.timeLimit) < UTCTime(secondsSince2000: .max)
        else {
            throw try map.required("start").error(
                "with the time limit of \(ProfileText.duration(scenario.timeLimit)) the run could "
                    + "last beyond 2136-02-07T06:28:15Z, where ZigBee's UTCTime ends; begin earlier"
            )
        }
        let steps = try map.required("steps")
        let fields = try steps.list()
        guard (1...Self.stepLimit).contains(fields.count) else {
            throw steps.error("expected 1 to \(Self.stepLimit) steps, found \(fields.count)")
        }
        let manifest: Manifest
        do {
            manifest = try Manifest.load(folder: library.firmware)
        } catch {
            switch error {
            case .content(let error): throw error
            case .file(let error):
                throw steps.error("the manifest, which lists the images, cannot be used: \(error)")
            }
        }
        let activationLimit = try map.optional("activationLimit")?.duration(within: Self.limits)
        var reader = StepReader(
            home: home, manifest: manifest, start: scenario.start, timeLimit: scenario.timeLimit,
            activationLimit: activationLimit ?? Self.activationLimit, folder: file.folder)
        for field in fields { scenario.steps.append(try reader.step(field)) }
        let needsDCC = scenario.steps.contains {
            switch $0.action {
            case .request, .awaitNotice: true
            default: false
            }
        }
        if let reference = try map.optional("dcc") {
            scenario.dcc = ScenarioDCC(
                profile: try DCCLoader.load(library.open(.dcc, from: reference, of: file)),
                products: manifest.products(for: [home]))
        } else if needsDCC {
            let usual: ProfileFile
            do {
                usual = try library.open(.dcc, "standard")
            } catch {
                throw steps.error("the DCC that a step needs cannot be used: \(error)")
            }
            scenario.dcc = ScenarioDCC(
                profile: try DCCLoader.load(usual), products: manifest.products(for: [home]))
        }
        return (scenario, home)
    }

    private static let limits = Interval.milliseconds(1)...(.hours(24 * 3_650))

    /// Reads the steps in order, knowing what came before.
    private struct StepReader {
        let home: Home
        let manifest: Manifest
        let start: UTCTime
        let timeLimit: Interval
        let activationLimit: Interval
        /// The scenario's, beside which files of messages are.
        let folder: String
        /// The devices that an image has been sent to so far.
        var addressed: Set<String> = []

        init(
            home: Home, manifest: Manifest, start: UTCTime, timeLimit: Interval,
            activationLimit: Interval, folder: String
        ) {
            self.home = home
            self.folder = folder
            self.manifest = manifest
            self.start = start
            self.timeLimit = timeLimit
            self.activationLimit = activationLimit
        }

        mutating func step(_ field: YAMLField) throws(YAMLError) -> ScenarioStep {
            let map = try field.map(keys: ScenarioLoader.schema.keys(under: "steps[]"))
            let actions = map.entries.filter { ScenarioLoader.actions.contains($0.key) }
            guard let entry = actions.first else {
                throw field.error(
                    "the step has no action; give it one of "
                        + ScenarioLoader.actions.joined(separator: ", "))
            }
            if actions.count > 1 {
                throw actions[1].keyField.error(
                    "a second action beside '\(entry.key)'; a step has one, so begin a new step")
            }
            let value = try map.required(entry.key)
            let within = try map.optional("within")
            let usual = entry.key == "activate" ? min(activationLimit, timeLimit) : timeLimit
            let limit = try within?.duration(within: ScenarioLoader.limits) ?? usual
            guard limit <= timeLimit else {
                throw (within ?? field).error(
                    "\(ProfileText.duration(limit)) is longer than the scenario's timeLimit, "
                        + ProfileText.duration(timeLimit))
            }
            let action = try action(entry.key, value)
            return ScenarioStep(
                title: try map.optional("title")?.oneLine() ?? entry.key, action: action,
                within: limit, line: field.line)
        }

        private mutating func action(
            _ key: String, _ field: YAMLField
        ) throws(YAMLError) -> ScenarioStep.Action {
            switch key {
            case "join": return .join(devices: try devices(field))
            case "deliver":
                let map = try inner(field, "deliver")
                let devices = try devices(map.required("to"))
                let image = try image(map.required("image"), for: devices)
                addressed.formUnion(devices)
                return .deliver(image: image, to: devices)
            case "updateHub":
                guard home.hub.signer != nil else {
                    throw field.error(
                        "the hub of the home '\(home.name)' takes no image of its own, because the "
                            + "home file names no 'signer' for it")
                }
                guard field.isMap else {
                    return .updateHub(image: try image(field, for: []), by: .cs06)
                }
                let map = try inner(field, "updateHub")
                let carrier = try map.optional("by")?.choice(ScenarioStep.Carrier.self)
                return .updateHub(
                    image: try image(map.required("image"), for: []), by: carrier ?? .cs06)
            case "await": return try wait(for: inner(field, "await"))
            case "expect":
                let map = try inner(field, "expect")
                let outcome = try map.required("outcome").choice(AttemptOutcome.self)
                let reason = try reason(map)
                return .expect(
                    outcome, devices: try addressedDevices(map.required("devices")),
                    reason: reason)
            case "activate":
                guard field.isMap else {
                    _ = try devicesWithSupplier(field)
                    return .command(
                        devices: try addressedDevices(field), .init(), expect: .activated)
                }
                return try activate(inner(field, "activate"))
            case "message":
                let map = try inner(field, "message")
                return .message(
                    to: try member(map.required("to")),
                    try MessageLoader.bytes(map, besides: folder))
            case "awaitMessage":
                let map = try inner(field, "awaitMessage")
                let code = try map.optional("code")?.integer(UInt16.self)
                let alert = try map.optional("alert")?.integer(UInt16.self)
                let from = try map.required("from").list { element throws(YAMLError) in
                    try member(element)
                }
                return .awaitMessage(members: from, code: code, alert: alert)
            case "request": return .request(try request(inner(field, "request")))
            case "awaitNotice":
                let map = try inner(field, "awaitNotice")
                let named = try map.optional("of").map(devices) ?? []
                let code = try word(map.required("code"))
                _ = try map.required("of")
                return .awaitNotice(code: code, devices: named)
            case "changeSupplier":
                let map = try inner(field, "changeSupplier")
                return .changeSupplier(
                    devices: try devicesWithSupplier(map.required("devices")),
                    to: try map.required("to").integer(in: MessageParties.suppliers))
            case "readVersions":
                guard field.isMap else {
                    return .readVersions(devices: try devices(field), version: nil)
                }
                let map = try inner(field, "readVersions")
                return .readVersions(
                    devices: try devices(map.required("devices")),
                    version: try map.optional("version")?.integer(UInt32.self))
            case "query": return .query(devices: try devices(field))
            case "queryFile":
                let map = try inner(field, "queryFile")
                let devices = try devices(map.required("devices"))
                return .queryFile(
                    devices: devices,
                    imageType: try map.required("imageType").integer(in: 0...0xFFFE))
            case "cancel": return .cancel(devices: try devices(field))
            case "power":
                return try power(inner(field, "power"))
            case "link":
                let map = try inner(field, "link")
                let ends = try LinkLoader.ends(map, members: members, oneWay: false)
                let usual = home.links.first {
                    [$0.from, $0.to] == [ends.from, ends.to]
                        || [$0.to, $0.from] == [ends.from, ends.to]
                }
                return .link(
                    a: ends.from, b: ends.to,
                    try LinkLoader.read(map, base: usual?.link ?? home.commonLink))
            case "permitJoining":
                return .permitJoining(try field.duration(within: .zero...(.hours(24))))
            case "waitUntil": return .waitUntil(try moment(field))
            case "updateNetworkKey":
                return try field.choice(
                    of: [(word: home.hub.name, value: ScenarioStep.Action.updateNetworkKey)])
            case "remove": return .remove(devices: try devices(field))
            case "add": return .add(devices: try devices(field))
            default:
                return .wait(try field.duration(within: .milliseconds(1)...timeLimit))
            }
        }

        private mutating func request(_ map: YAMLMap) throws(YAMLError) -> ServiceStep {
            // Each by itself first, so that what is wrong in one is told before what is missing.
            let answer = try map.optional("answer").map(word)
            let supplier = try map.optional("supplier")?.integer(in: MessageParties.suppliers)
            let (at, cancel) = (try map.optional("at"), try map.optional("cancel"))
            let moment = try at?.date()
            let isCancellation = try cancel?.boolean() ?? false
            let named = try map.optional("for").map(devices) ?? []
            let carried = try map.optional("image")
            let image = try carried.map { field throws(YAMLError) in
                try self.image(field, for: named)
            }
            var lists: [ServiceStep.List: [String]] = [:]
            for list in ServiceStep.List.allCases {
                lists[list] = try map.optional(list.rawValue).map(devices)
            }
            let variant = try map.required("variant").choice(ServiceStep.Variant.self)
            _ = try map.required("for")
            if variant == .readFirmwareVersion {
                if let carried { throw carried.error("has no place in 11.2") }
            } else {
                _ = try map.required("image")
            }
            if let field = at ?? cancel, variant != .activateFirmware {
                throw field.error("goes with 11.3 only")
            }
            if isCancellation, let at {
                throw at.error("stands beside 'cancel: true'; give one of the two")
            }
            for list in ServiceStep.List.allCases where !variant.isUpdate {
                if let field = try map.optional(list.rawValue) {
                    throw field.error("goes with 11.1 and 11.4 only")
                }
            }
            var step = ServiceStep(
                variant: variant, image: image, devices: named,
                answer: answer ?? ResponseCode.acknowledged.rawValue)
            step.supplier = supplier ?? 1
            step.at = moment
            step.isCancellation = isCancellation
            step.lists = lists
            // Those that are let in are sent the image.
            if variant.isUpdate { addressed.formUnion(named) }
            return step
        }

        /// A code of up to eight letters and digits.
        private func word(_ field: YAMLField) throws(YAMLError) -> String {
            let text = try field.oneLine()
            let isCode = text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0)
            }
            guard (1...8).contains(text.utf8.count), isCode else {
                throw field.error(
                    "expected a code such as I99, W110401, N60 or \"8F72\", found '\(text)'")
            }
            return text
        }

        /// An `activate` that is a map: the bench's order, or a command.
        private func activate(_ map: YAMLMap) throws(YAMLError) -> ScenarioStep.Action {
            let carrier = try map.optional("by")?.choice(ScenarioStep.Carrier.self) ?? .cs06
            let answer = try map.optional("expect")?.choice(ScenarioStep.ActivationAnswer.self)
            let reason = try reason(map)
            let at = try map.optional("at")
            let cancel = try map.optional("cancel")
            let supplier = try map.optional("supplier")
            let isCancellation = try cancel?.boolean() ?? false
            let order = ScenarioStep.MessageOrder(
                at: try at?.date(), isCancellation: isCancellation,
                supplier: try supplier?.integer(in: MessageParties.suppliers) ?? 1)
            let devicesField = try map.required("devices")
            let devices = try addressedDevices(devicesField)
            guard carrier == .cs06 else {
                if let field = at ?? cancel ?? supplier {
                    throw field.error("goes with 'by: cs06' only")
                }
                return .activate(devices: devices, expect: answer ?? .activated, reason: reason)
            }
            _ = try devicesWithSupplier(devicesField)
            if isCancellation, let at {
                throw at.error("stands beside 'cancel: true'; give one of the two")
            }
            let usual: ScenarioStep.ActivationAnswer =
                order.at != nil || isCancellation ? .accepted : .activated
            return .command(devices: devices, order, expect: answer ?? usual, reason: reason)
        }

        /// Devices that know a supplier: all but PPMIDs.
        private func devicesWithSupplier(_ field: YAMLField) throws(YAMLError) -> [String] {
            let names = try devices(field)
            let displays = home.devices.filter { $0.profile.type == .ppmid }.map(\.name)
            if let name = names.first(where: displays.contains) {
                throw field.error(
                    "'\(name)' is a PPMID, which knows no supplier and takes no such command")
            }
            return names
        }

        private func wait(for map: YAMLMap) throws(YAMLError) -> ScenarioStep.Action {
            let outcome = try map.required("outcome")
            let milestone = try outcome.choice(ScenarioStep.Milestone.self)
            var offset = 0
            if let field = try map.optional("offset") {
                guard milestone == .downloading else {
                    throw field.error("goes with the outcome downloading, not with \(milestone)")
                }
                offset = try field.size(in: 1...ScenarioLoader.offsetLimit)
            }
            let reason = try reason(map)
            return .await(
                milestone, devices: try addressedDevices(map.required("devices")), offset: offset,
                reason: reason)
        }

        private func power(_ map: YAMLMap) throws(YAMLError) -> ScenarioStep.Action {
            let device = try member(map.required("device"))
            let on = try map.required("on").boolean()
            let duration = try map.optional("for")
            if on, let duration {
                throw duration.error(
                    "goes with 'on: false': so long the power stays off, and then it comes back")
            }
            return .power(
                device: device, on: on,
                duration: try duration?.duration(within: .milliseconds(1)...timeLimit))
        }

        /// A reason of the summary, if the map has one.
        private func reason(_ map: YAMLMap) throws(YAMLError) -> String? {
            let names =
                RefusalReason.allCases.map(\.name) + [AttemptRecord.noClientReason]
                + DropReason.allCases.map(\.name).filter { $0.hasPrefix("message") }
            return try map.optional("reason")?.choice(
                of: names.filter { $0 != RefusalReason.none.name }.map { (word: $0, value: $0) })
        }

        /// A moment after the start and before the time limit.
        private func moment(_ field: YAMLField) throws(YAMLError) -> UTCTime {
            let moment = try field.date()
            let seconds = Int64(moment.secondsSince2000) - Int64(start.secondsSince2000)
            guard seconds > 0, .seconds(seconds) <= timeLimit else {
                throw field.error(
                    "expected a moment after the scenario's start and within its timeLimit, "
                        + "\(ProfileText.duration(timeLimit)), found \(field.found)")
            }
            return moment
        }

        private func inner(_ field: YAMLField, _ action: String) throws(YAMLError) -> YAMLMap {
            try field.map(keys: ScenarioLoader.schema.keys(under: "steps[].\(action)"))
        }

        private var members: [String] { [home.hub.name] + home.devices.map(\.name) }

        private func member(_ field: YAMLField) throws(YAMLError) -> String {
            try field.name(among: members, as: "member", inFile: "the home '\(home.name)'")
        }

        /// A list of devices, or `all`: every device of the home, without the hub.
        private func devices(_ field: YAMLField) throws(YAMLError) -> [String] {
            let names = home.devices.map(\.name)
            guard field.isList else {
                return try field.choice(of: [(word: "all", value: names)])
            }
            var devices: [String] = []
            for element in try field.list() {
                let name = try element.name(
                    among: names, as: "device", inFile: "the home '\(home.name)'")
                guard !devices.contains(name) else {
                    throw element.error("'\(name)' stands in the list already")
                }
                devices.append(name)
            }
            guard !devices.isEmpty else { throw field.error("expected at least one device") }
            return devices
        }

        /// Devices with an attempt to speak of.
        private func addressedDevices(_ field: YAMLField) throws(YAMLError) -> [String] {
            let devices = try devices(field)
            if let name = devices.first(where: { !addressed.contains($0) }) {
                throw field.error("no step above delivers an image to '\(name)'")
            }
            return devices
        }

        /// An image of the manifest. Any device may be sent any image; but one that would run it
        /// must have a profile that knows its version.
        private func image(
            _ field: YAMLField, for names: [String]
        ) throws(YAMLError) -> String {
            let id = try field.name(
                among: manifest.entries.map(\.id), as: "image",
                inFile: "'\(manifest.folder)/\(Manifest.fileName)'")
            guard let entry = manifest.entry(id) else { return id }
            for device in home.devices where names.contains(device.name) {
                let profile = device.profile
                guard entry.deviceType == profile.type,
                    entry.manufacturerCode == profile.manufacturer,
                    entry.imageType.rawValue == profile.imageType
                else { continue }
                try FirmwareTable.check(
                    entry.version, in: profile.firmware, of: profile.name, field)
            }
            if names.isEmpty, entry.deviceType == .communicationsHub {
                let profile = home.hub.profile
                try FirmwareTable.check(
                    entry.version, in: profile.firmware, of: profile.name, field)
            }
            return id
        }
    }
}
