import Crypto
import Devices
import GBCS
import Lab
import Wire

/// A home and a scenario with what the command line changes about them.
struct RunCast {
    private(set) var home: Home
    private(set) var scenario: Scenario
    /// What was changed, a line each, for people.
    private(set) var notes: [String] = []
    private let manifest: Manifest
    /// Images from files, by the name under which the scenario then sends them.
    private var files: [String: RunImage] = [:]

    init(home: Home, scenario: Scenario, manifest: Manifest) {
        self.home = home
        self.scenario = scenario
        self.manifest = manifest
    }

    /// The images that the scenario sends, by name; those of the manifest are built here.
    func images() throws -> [String: RunImage] {
        var images = files
        for (name, _) in deliveries where images[name] == nil {
            guard let entry = manifest.entry(name) else { continue }
            images[name] = try manifest.runImage(for: entry)
        }
        return images
    }

    /// Which image goes to which member, in the scenario's order.
    private var deliveries: [(image: String, member: String)] {
        scenario.steps.flatMap { step -> [(image: String, member: String)] in
            switch step.action {
            case .deliver(let image, let targets): targets.map { (image, $0) }
            case .updateHub(let image, _): [(image, home.hub.name)]
            case .request(let service):
                service.image.map { image in service.devices.map { (image, $0) } } ?? []
            default: []
            }
        }
    }

    // MARK: - Keys

    /// Has members use the credentials of a folder. `absent` are those who are played elsewhere.
    mutating func take(_ credentials: CredentialsArgument, absent: Set<String>) throws {
        try credentials.apply(to: &home, absent: absent)
    }

    /// Has members check signatures with the keys in files.
    mutating func trust(_ arguments: [RoleFileArgument]) throws {
        let named = try resolve(arguments, option: "--certificate")
        for (argument, members) in named {
            let key = try Self.publicKey(argument.path)
            for member in members {
                guard let index = home.devices.firstIndex(where: { $0.name == member }) else {
                    home.hub.signer = key
                    continue
                }
                guard home.devices[index].profile.type != .ppmid else {
                    throw Failure(
                        .usage,
                        "--certificate \(argument.role): a PPMID's image has no signature; leave "
                            + "the option out")
                }
                home.devices[index].supplier = key
            }
        }
    }

    private static func publicKey(_ path: String) throws -> P256.PublicKey {
        let bytes = try Files.read(path, limit: KeyFiles.maximumSize)
        do {
            return try P256.PublicKey(any: bytes)
        } catch {
            throw Failure(.data, "\(path): no usable P-256 certificate or key: \(error)")
        }
    }

    // MARK: - Images

    /// Sends the images in files instead of the manifest's.
    mutating func replace(_ arguments: [RoleFileArgument], keepingIdentity: Bool) throws {
        let named = try resolve(arguments, option: "--image")
        var replacements: [String: RunImage] = [:]
        for (argument, members) in named {
            let sent = deliveries.map(\.member)
            guard members.contains(where: sent.contains) else {
                throw Failure(
                    .usage,
                    "--image \(argument.role): the scenario '\(scenario.name)' sends no image to "
                        + "it, only to \(Self.list(unique(sent)))")
            }
            guard let type = type(of: members[0]) else { continue }
            let image = try ImageCommand.read(argument.path, form: type.imageForm)
            let name = "\(argument.role)=\(argument.path)"
            if image.form == .gbcsUnsigned, Self.looksSigned(image) {
                notes.append(
                    "\(argument.path) ends like a signed image, but \(type.withArticle)'s "
                        + "image has no signature: its last \(Self.trailerSize) bytes count as "
                        + "part of the manufacturer image, and so does its hash")
            }
            let sendable = RunImage(
                name: name, bytes: image.encoded(), version: image.header.fileVersion,
                hash: image.manufacturerImageHash)
            files[name] = sendable
            for member in members where sent.contains(member) {
                replacements[member] = sendable
                try prepare(member, for: image, argument.path, keepingIdentity: keepingIdentity)
            }
        }
        guard !replacements.isEmpty else { return }
        rewrite(replacements)
    }

    /// Force-replace byte, length byte and signature (GBCS 11.2).
    private static let trailerSize = 66

    /// Whether an image read as unsigned would be taken for a signed one by its looks.
    private static func looksSigned(_ image: FirmwareImage) -> Bool {
        (try? FirmwareImage(parsing: image.encoded(), form: nil))?.form == .gbcsSigned
    }

    /// Makes a member one that the image fits, and notes what will become of it.
    private mutating func prepare(
        _ member: String, for image: FirmwareImage, _ path: String, keepingIdentity: Bool
    ) throws {
        let signer: P256.PublicKey?
        let running: UInt32
        if let index = home.devices.firstIndex(where: { $0.name == member }) {
            var profile = home.devices[index].profile
            running = home.devices[index].firmware
            signer = home.devices[index].supplier
            try adapt(
                member, profile.name, &profile.manufacturer, &profile.imageType,
                &profile.hardwareVersion, &profile.firmware, running: running, to: image, path,
                keepingIdentity: keepingIdentity)
            home.devices[index].profile = profile
            noteCapabilities(of: member, profile, at: image.header.fileVersion)
        } else {
            var profile = home.hub.profile
            running = home.hub.firmware
            signer = home.hub.signer
            try adapt(
                member, profile.name, &profile.manufacturer, &profile.imageType,
                &profile.hardwareVersion, &profile.firmware, running: running, to: image, path,
                keepingIdentity: keepingIdentity)
            home.hub.profile = profile
            noteCapabilities(of: member, profile, at: image.header.fileVersion)
        }
        if image.header.fileVersion == running {
            notes.append(
                "\(member) runs \(Words.version(running)) already, the version of \(path), so "
                    + "it is not offered the image")
        }
        if image.form == .gbcsSigned, let signer, image.verifySignature(by: signer) != .valid {
            notes.append(
                "\(path) bears no signature that \(member) trusts, so \(member) rejects it; "
                    + "--certificate \(member)=FILE gives it another key")
        }
    }

    /// What a device can no longer do with its new firmware.
    private mutating func noteCapabilities(
        of member: String, _ profile: DeviceProfile, at version: UInt32
    ) {
        guard profile.capabilities(at: version)?.hasOTAClient == false else { return }
        notes.append(
            "with firmware \(Words.version(version)) \(member) has no OTA client (profile "
                + "'\(profile.name)'), so its version cannot be read and it never asks again")
    }

    /// Whom of the home the hub does not serve with its new firmware.
    private mutating func noteCapabilities(
        of member: String, _ profile: HubProfile, at version: UInt32
    ) {
        guard let served = profile.capabilities(at: version)?.delivers else { return }
        let others = home.devices.filter { !served.contains($0.profile.type) }.map(\.name)
        guard !others.isEmpty else { return }
        notes.append(
            "with firmware \(Words.version(version)) \(member) delivers no images to "
                + "\(Self.list(others)) (profile '\(profile.name)')")
    }

    private mutating func adapt<Capabilities>(
        _ member: String, _ profile: String, _ manufacturer: inout UInt16,
        _ imageType: inout UInt16, _ hardware: inout UInt16,
        _ firmware: inout [FirmwareRange<Capabilities>], running: UInt32, to image: FirmwareImage,
        _ path: String, keepingIdentity: Bool
    ) throws {
        let header = image.header
        let fits =
            header.manufacturerCode == manufacturer && header.imageType.rawValue == imageType
        let isKnown = firmware.contains { $0.versions.contains(header.fileVersion) }
        if keepingIdentity {
            guard isKnown || !fits else {
                throw Failure(
                    .data,
                    "\(path): the profile '\(profile)' does not say what \(member) can do with "
                        + "firmware \(Words.version(header.fileVersion)); add that version to "
                        + "its field 'firmware'")
            }
            return
        }
        var changes: [String] = []
        if header.manufacturerCode != manufacturer {
            manufacturer = header.manufacturerCode
            changes.append("manufacturer \(Words.code(manufacturer))")
        }
        if header.imageType.rawValue != imageType {
            imageType = header.imageType.rawValue
            changes.append("image type \(Words.code(imageType))")
        }
        if let range = header.hardwareVersions, !range.contains(hardware) {
            hardware = range.minimum
            changes.append("hardware version \(Words.code(hardware))")
        }
        if !changes.isEmpty {
            notes.append(
                "\(member) takes on \(Self.list(changes)) for this run, so that \(path) fits it "
                    + "(--keep-identity prevents that)")
        }
        if !isKnown, let now = firmware.first(where: { $0.versions.contains(running) }) {
            firmware.append(
                FirmwareRange(header.fileVersion...header.fileVersion, now.value))
            notes.append(
                "the profile '\(profile)' has nothing on firmware "
                    + "\(Words.version(header.fileVersion)); \(member) can do with it what it "
                    + "can with \(Words.version(running))")
        }
    }

    // MARK: - Steps

    /// Puts the replacements in the place of what the scenario sends to their members, and their
    /// versions in the place of those it expects of that. A step whose devices are now treated
    /// differently becomes several.
    private mutating func rewrite(_ replacements: [String: RunImage]) {
        var steps: [ScenarioStep] = []
        // The version that each replaced image would have brought, by member.
        var planned: [String: UInt32] = [:]
        for step in scenario.steps {
            switch step.action {
            case .deliver(let image, let targets):
                for target in targets where replacements[target] != nil {
                    planned[target] = manifest.entry(image)?.version
                }
                let groups = grouped(targets) { replacements[$0]?.name ?? image }
                steps += groups.map { step.with(.deliver(image: $0.key, to: $0.members)) }
            case .updateHub(let image, let carrier):
                planned[home.hub.name] = manifest.entry(image)?.version
                let name = replacements[home.hub.name]?.name ?? image
                steps.append(step.with(.updateHub(image: name, by: carrier)))
            case .readVersions(let devices, let version?):
                let groups = grouped(devices) { device in
                    planned[device] == version
                        ? replacements[device]?.version ?? version : version
                }
                steps += groups.map {
                    step.with(.readVersions(devices: $0.members, version: $0.key))
                }
            default: steps.append(step)
            }
        }
        scenario.steps = steps
    }

    private func grouped<Key: Equatable>(
        _ members: [String], by key: (String) -> Key
    ) -> [(key: Key, members: [String])] {
        var groups: [(key: Key, members: [String])] = []
        for member in members {
            let key = key(member)
            if let index = groups.firstIndex(where: { $0.key == key }) {
                groups[index].members.append(member)
            } else {
                groups.append((key, [member]))
            }
        }
        return groups
    }

    // MARK: - Names

    private func type(of member: String) -> DeviceType? {
        if member == home.hub.name { return .communicationsHub }
        return home.devices.first { $0.name == member }?.profile.type
    }

    /// Which members each argument means: the one of that name, else all of that type that no
    /// other argument names.
    private func resolve(
        _ arguments: [RoleFileArgument], option: String
    ) throws -> [(argument: RoleFileArgument, members: [String])] {
        let names = [home.hub.name] + home.devices.map(\.name)
        let known = names + names.compactMap { type(of: $0)?.rawValue }
        // Names and roles are capitals, which people need not type.
        let arguments = arguments.map { argument in
            var argument = argument
            if !known.contains(argument.role), known.contains(argument.role.uppercased()) {
                argument.role = argument.role.uppercased()
            }
            return argument
        }
        var seen: Set<String> = []
        for argument in arguments where !seen.insert(argument.role).inserted {
            throw Failure(.usage, "\(option) \(argument.role) is given twice; give it once")
        }
        return try arguments.map { argument in
            // A name that is also a role, as the only ESME's of a home, means the role.
            let members = names.filter {
                type(of: $0)?.rawValue == argument.role
                    && (!seen.contains($0) || $0 == argument.role)
            }
            if members.isEmpty, names.contains(argument.role) { return (argument, [argument.role]) }
            guard members.isEmpty else { return (argument, members) }
            let roles = unique(known)
            var message = "\(option) \(argument.role): the home '\(home.name)' has no such role"
            if let near = Suggestion.nearest(to: argument.role, among: roles) {
                message += "; did you mean '\(near)'?"
            }
            throw Failure(.missing, message + "; there are \(Self.list(roles))")
        }
    }

    private func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    private static func list(_ words: [String]) -> String { Words.list(words) }
}

extension ScenarioStep {
    fileprivate func with(_ action: Action) -> ScenarioStep {
        var step = self
        step.action = action
        return step
    }
}
