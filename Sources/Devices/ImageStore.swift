import Crypto
import GBCS
import Radio
import Wire
import Zigbee

/// One image a hub holds for devices.
struct StoredImage: Sendable, Equatable {
    var delivery: UInt32
    var image: ImageIdentity
    var size: UInt32
    var hardware: HardwareRange?
    /// Its header names one device: it is a device-specific file (ZCL 11.4.2.13).
    var isDeviceSpecific: Bool
    /// Versions it may be installed over; none for any.
    var installableFrom: [UInt32]
    /// Whom it is for; only those in the device log at the time it came.
    var targets: [EUI64]

    /// The most that `bytes` has, with all versions and targets that there may be.
    static let longest =
        24 + 4 * CommunicationsHub.versionLimit + 8 * CommunicationsHub.targetLimit

    /// Layout, little-endian: delivery u32, manufacturer u16, type u16, version u32, size u32,
    /// hardware present u8, minimum u16, maximum u16, device-specific u8, versions u8 x u32,
    /// targets u8 x EUI-64.
    var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.put(UInt64(delivery), 4)
        builder.put(image)
        builder.put(UInt64(size), 4)
        builder.put(hardware == nil ? 0 : 1, 1)
        builder.put(UInt64(hardware?.minimum ?? 0), 2)
        builder.put(UInt64(hardware?.maximum ?? 0), 2)
        builder.put(isDeviceSpecific ? 1 : 0, 1)
        builder.put(UInt64(installableFrom.count), 1)
        for version in installableFrom { builder.put(UInt64(version), 4) }
        builder.put(UInt64(targets.count), 1)
        for target in targets { builder.put(target.rawValue, 8) }
        return builder.bytes
    }

    init(
        delivery: UInt32, image: ImageIdentity, size: UInt32, hardware: HardwareRange?,
        isDeviceSpecific: Bool, installableFrom: [UInt32], targets: [EUI64]
    ) {
        self.isDeviceSpecific = isDeviceSpecific
        self.installableFrom = installableFrom
        self.delivery = delivery
        self.image = image
        self.size = size
        self.hardware = hardware
        self.targets = targets
    }

    init(parsing bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes.span)
        delivery = try reader.u32("delivery")
        image = ImageIdentity(
            manufacturer: try reader.u16("manufacturer"), imageType: try reader.u16("image type"),
            version: try reader.u32("version"))
        size = try reader.u32("size")
        let hasRange = try reader.u8("hardware present") == 1
        let (minimum, maximum) = (
            try reader.u16("minimum hardware"), try reader.u16("maximum hardware")
        )
        hardware = hasRange ? HardwareRange(minimum: minimum, maximum: maximum) : nil
        isDeviceSpecific = try reader.u8("device-specific") == 1
        installableFrom = []
        for _ in 0..<(try reader.u8("version count")) {
            installableFrom.append(try reader.u32("version"))
        }
        targets = []
        for _ in 0..<(try reader.u8("target count")) { targets.append(try reader.eui64("target")) }
    }
}

/// An image on its way in over the WAN.
struct Arrival: Sendable {
    var delivery: UInt32
    var targets: [EUI64]
    var installableFrom: [UInt32]
    var size: UInt32
    var received: UInt32 = 0
    var slot: Int
    var erasedUpTo = 0
    /// It is the hub's own.
    var isOwn: Bool
}

extension CommunicationsHub {
    /// Devices an image may be meant for in one home.
    static let targetLimit = 64
    /// Versions an image may be said to follow.
    static let versionLimit = 64

    var slotBase: Int { journal.size }
    /// The last two slots are kept for the hub's own firmware: one for the image it holds, one for
    /// another that is arriving. Of those before them, one is always free for what is arriving.
    private func ownSlot(_ place: UInt8) -> Int { profile.imageSlots + 1 + Int(place) }
    /// The one of the two that holds nothing, or what runs if the other holds the next.
    private var freeOwnPlace: UInt8 {
        (firmware.held?.place ?? firmware.image?.place).map { 1 - $0 } ?? 0
    }

    /// Where one of the two begins in flash.
    func ownAddress(_ place: UInt8) -> Int { slotAddress(ownSlot(place)) }

    func slotAddress(_ slot: Int) -> Int { slotBase + slot * profile.imageSlotSize }

    mutating func receiveWAN(_ message: WANMessage, at now: Instant, into out: inout Outbox) {
        switch message {
        case .beginImage(let delivery, let targets, let size, let installableFrom):
            beginArrival(delivery, targets, size, installableFrom, at: now, into: &out)
        case .imageChunk(let delivery, let offset, let bytes):
            takeChunk(delivery, offset, bytes, at: now, into: &out)
        case .endImage(let delivery): endArrival(delivery, at: now, into: &out)
        case .activateHub(let hash): _ = activateOwn(hash, at: now, into: &out)
        case .readVersion(let device):
            read(device, at: now, into: &out)
        case .imageStored(let delivery), .imageRefused(let delivery, _):
            // Not for a hub to receive.
            out.note(.wanMessageRefused, UInt64(delivery))
        case .message(let device, let bytes): route(bytes, to: device, at: now, into: &out)
        }
    }

    private mutating func beginArrival(
        _ delivery: UInt32, _ targets: [EUI64], _ size: UInt32, _ installableFrom: [UInt32],
        at now: Instant, into out: inout Outbox
    ) {
        let isOwn = targets == [eui64]
        (refusedDelivery, strayDelivery) = (nil, nil)
        forgetEndings(of: 0, for: targets)
        out.note(.imageArriving, UInt64(delivery), UInt64(size))
        guard size > 0, Int(size) <= profile.imageSlotSize else {
            discard(delivery, for: targets, .imageTooLarge, at: now, into: &out)
            return
        }
        guard targets.count <= Self.targetLimit else {
            refuse(delivery, .unknownTarget, silently: false, into: &out)
            return
        }
        guard installableFrom.count <= Self.versionLimit else {
            discard(delivery, for: targets, .malformedImage, at: now, into: &out)
            return
        }
        if isOwn, firmware.image?.place == freeOwnPlace {
            // Its bytes go, also if nothing comes of what takes their place.
            firmware.image?.size = 0
            journal.write(Record.firmware, firmware.bytes, &out)
        }
        guard let slot = isOwn ? ownSlot(freeOwnPlace) : store.firstIndex(where: { $0 == nil })
        else {
            discard(delivery, for: targets, .storeFull, at: now, into: &out)
            return
        }
        arrival = Arrival(
            delivery: delivery, targets: targets, installableFrom: installableFrom, size: size,
            slot: slot, isOwn: isOwn)
    }

    /// While there are more images than slots, the oldest goes: the new one has pushed it out,
    /// now that it is whole and accepted (assumption: how many images a hub holds and which goes
    /// first is not specified; `imageSlots`). A power cut between the two leaves both, and the
    /// next start comes here.
    mutating func dropOldest(at now: Instant, into out: inout Outbox) {
        while store.count(where: { $0 != nil }) > profile.imageSlots {
            let oldest = store.indices.min { a, b in
                (store[a]?.delivery ?? .max) < (store[b]?.delivery ?? .max)
            }
            guard let oldest, let image = store[oldest] else { return }
            drop(slot: oldest, into: &out)
            reportThrownOut(image, for: image.targets, at: now, into: &out)
        }
    }

    private mutating func takeChunk(
        _ delivery: UInt32, _ offset: UInt32, _ bytes: [UInt8], at now: Instant,
        into out: inout Outbox
    ) {
        guard var current = arrival, current.delivery == delivery else {
            guard delivery != refusedDelivery, delivery != strayDelivery else { return }
            strayDelivery = delivery
            out.note(
                .wanMessageRefused, UInt64(delivery), UInt64(RefusalReason.incomplete.rawValue))
            return
        }
        guard offset == current.received, bytes.count <= Int(current.size - current.received) else {
            arrival = nil
            discard(delivery, for: current.targets, .incomplete, at: now, into: &out)
            return
        }
        let base = slotAddress(current.slot)
        while current.erasedUpTo < Int(offset) + bytes.count {
            out.erase(page: (base + current.erasedUpTo) / profile.flashPart.pageSize)
            current.erasedUpTo += profile.flashPart.pageSize
        }
        out.program(bytes.span, at: base + Int(offset))
        current.received += UInt32(bytes.count)
        arrival = current
    }

    private mutating func endArrival(
        _ delivery: UInt32, at now: Instant, into out: inout Outbox
    ) {
        guard let current = arrival, current.delivery == delivery else {
            // Who has been told why is not told that it is incomplete for that.
            guard delivery != refusedDelivery else { return }
            refuse(delivery, .incomplete, silently: false, into: &out)
            return
        }
        arrival = nil
        guard current.received == current.size else {
            discard(delivery, for: current.targets, .incomplete, at: now, into: &out)
            return
        }
        let bytes = out.flash.read(slotAddress(current.slot), count: Int(current.size))
        if current.isOwn {
            endOwnArrival(current, bytes, into: &out)
        } else {
            endDeviceArrival(current, bytes, at: now, into: &out)
        }
    }

    private mutating func endDeviceArrival(
        _ current: Arrival, _ bytes: [UInt8], at now: Instant, into out: inout Outbox
    ) {
        let header: OTAHeader
        do {
            header = try OTAHeader(parsing: bytes)
        } catch {
            discard(
                current.delivery, for: current.targets, .malformedImage, at: now, into: &out)
            return
        }
        let version = header.fileVersion
        guard header.totalImageSize == current.size else {
            reportDiscarded(for: current.targets, version, at: now, into: &out)
            refuse(current.delivery, .sizeMismatch, silently: false, into: &out)
            return
        }
        // A device-specific file is for the device that its header names and nobody else.
        let known = current.targets.filter {
            deviceLog[$0] != nil && (header.destination == nil || header.destination == $0)
        }
        let served = known.filter { supports(deviceLog[$0]?.type) }
        guard !served.isEmpty else {
            // The hub's own last line of defence: what it cannot deliver it does not keep.
            let reasons = known.map(lackOfSupport)
            let reason: RefusalReason =
                reasons.contains(.hubLacksSupport)
                ? .hubLacksSupport : reasons.first ?? .unknownTarget
            refuse(
                current.delivery, reason,
                silently: reason == .hubLacksSupport && capabilities.discardsSilently,
                into: &out)
            reportDiscarded(for: current.targets, version, at: now, into: &out)
            return
        }
        let image = ImageIdentity(
            manufacturer: header.manufacturerCode, imageType: header.imageType.rawValue,
            version: version)
        forgetEndings(of: version, for: served)
        let stored = StoredImage(
            delivery: current.delivery, image: image, size: current.size,
            hardware: header.hardwareVersions, isDeviceSpecific: header.destination != nil,
            installableFrom: current.installableFrom, targets: served)
        // The new one first: at no instant is there neither.
        put(stored, in: current.slot, into: &out)
        replaceEarlier(
            than: stored, by: force(bytes, for: served), in: current.slot, at: now, into: &out)
        dropOldest(at: now, into: &out)
        out.note(
            .imageStored, UInt64(current.delivery), UInt64(image.manufacturer),
            UInt64(image.imageType), UInt64(image.version), UInt64(current.size))
        out.send(.imageStored(delivery: current.delivery))
        markNewFirmware(stored.targets)
        if profile.notifiesImages { notify(stored, at: now, into: &out) }
    }

    /// Whether an image has Force Replace set and this hub minds it (GBCS 11.2.2).
    private func force(_ bytes: [UInt8], for targets: [EUI64]) -> Bool {
        guard profile.ota.obeysForceReplace,
            targets.contains(where: { deviceLog[$0]?.type?.imageForm == .gbcsSigned }),
            let image = try? FirmwareImage(parsing: bytes, form: .gbcsSigned)
        else { return false }
        return image.trailer?.forceReplace == 1
    }

    /// What a new image makes of those before it: the same image sent again goes, and by force
    /// all others of its kind are withdrawn from its targets.
    private mutating func replaceEarlier(
        than stored: StoredImage, by force: Bool, in slot: Int, at now: Instant,
        into out: inout Outbox
    ) {
        for other in store.indices where other != slot {
            guard var earlier = store[other] else { continue }
            let isSame =
                earlier.image == stored.image
                && earlier.targets.allSatisfy(stored.targets.contains)
            if isSame {
                drop(slot: other, into: &out)
            } else if force, earlier.image.manufacturer == stored.image.manufacturer,
                earlier.image.imageType == stored.image.imageType,
                earlier.targets.contains(where: stored.targets.contains)
            {
                let image = earlier
                earlier.targets.removeAll(where: stored.targets.contains)
                defer {
                    reportThrownOut(
                        image, for: image.targets.filter(stored.targets.contains), at: now,
                        into: &out)
                }
                if earlier.targets.isEmpty {
                    drop(slot: other, into: &out)
                } else {
                    put(earlier, in: other, into: &out)
                }
            }
        }
    }

    /// The device has refused the image, and would again: it is kept for the others, if any.
    mutating func withdraw(
        _ image: ImageIdentity, from device: EUI64, into out: inout Outbox
    ) {
        for slot in store.indices {
            guard var stored = store[slot], stored.image == image,
                stored.targets.contains(device)
            else { continue }
            stored.targets.removeAll { $0 == device }
            if stored.targets.isEmpty {
                drop(slot: slot, into: &out)
            } else {
                put(stored, in: slot, into: &out)
            }
        }
    }

    private mutating func put(_ image: StoredImage, in slot: Int, into out: inout Outbox) {
        store[slot] = image
        journal.write(Record.firstSlot + UInt8(slot), image.bytes, &out)
    }

    /// Why a device that `supports` says no to gets no image.
    func lackOfSupport(for device: EUI64) -> RefusalReason {
        deviceLog[device]?.type == nil ? .typeUnknown : .hubLacksSupport
    }

    /// Whether this firmware delivers images to a type of device at all.
    func supports(_ type: DeviceType?) -> Bool {
        type.map { capabilities.delivers.contains($0) } ?? false
    }

    /// Refuses an image of which so little has come that its version is not known.
    private mutating func discard(
        _ delivery: UInt32, for targets: [EUI64], _ reason: RefusalReason, at now: Instant,
        into out: inout Outbox
    ) {
        refuse(delivery, reason, silently: false, into: &out)
        reportDiscarded(for: targets, 0, at: now, into: &out)
    }

    private mutating func refuse(
        _ delivery: UInt32, _ reason: RefusalReason, silently: Bool, into out: inout Outbox
    ) {
        refusedDelivery = delivery
        out.note(.imageDiscarded, UInt64(delivery), UInt64(reason.rawValue))
        if !silently { out.send(.imageRefused(delivery: delivery, reason: reason)) }
    }

    /// Whether an image that lists these versions may be installed over one.
    func mayFollow(_ version: UInt32, _ installableFrom: [UInt32]) -> Bool {
        installableFrom.isEmpty || !profile.ota.checksInstallableFrom
            || installableFrom.contains(version)
    }

    private mutating func drop(slot: Int, into out: inout Outbox) {
        guard store[slot] != nil else { return }
        store[slot] = nil
        journal.write(Record.firstSlot + UInt8(slot), [], &out)
    }

    // MARK: - The hub's own firmware

    private mutating func endOwnArrival(
        _ current: Arrival, _ bytes: [UInt8], into out: inout Outbox
    ) {
        guard let header = try? OTAHeader(parsing: bytes) else {
            refuse(current.delivery, .malformedImage, silently: false, into: &out)
            return
        }
        guard mayFollow(firmware.running, current.installableFrom) else {
            refuse(current.delivery, .notInstallableFrom, silently: false, into: &out)
            return
        }
        let image = ImageIdentity(
            manufacturer: profile.manufacturer, imageType: profile.imageType,
            version: header.fileVersion)
        switch ownExpectation(of: image).check(bytes) {
        case .success(let checked):
            firmware.held = .init(
                image: image, size: current.size, stackVersion: checked.stackVersion,
                hash: checked.hash, place: current.slot == ownSlot(0) ? 0 : 1)
            journal.write(Record.firmware, firmware.bytes, &out)
            out.note(
                .imageStored, UInt64(current.delivery), UInt64(image.manufacturer),
                UInt64(image.imageType), UInt64(image.version), UInt64(current.size))
            out.send(.imageStored(delivery: current.delivery))
        case .failure(let refusal):
            refuse(current.delivery, refusal.reason, silently: false, into: &out)
        }
    }

    private func ownExpectation(of image: ImageIdentity) -> ImageExpectation {
        ImageExpectation(
            image: image, hardwareVersion: profile.hardwareVersion, type: .communicationsHub,
            signer: identity.signer)
    }

    /// Runs the hub's own held image if it is the one meant (GBCS CS06 to the hub, signed by the
    /// WAN provider: assumption).
    mutating func activateOwn(
        _ hash: Digest256, at now: Instant, into out: inout Outbox
    ) -> ActivationResult {
        let words = hash.words
        out.note(.activationOrdered, words.0, words.1, words.2, words.3)
        guard let held = firmware.held, held.hash == hash else {
            let reason: RefusalReason = firmware.held == nil ? .noImageHeld : .hashMismatch
            out.note(.activationRefused, UInt64(reason.rawValue), UInt64(firmware.running))
            return reason == .noImageHeld ? .noImageHeld : .hashMismatch
        }
        let bytes = out.flash.read(
            ownAddress(held.place), count: min(Int(held.size), profile.imageSlotSize))
        guard
            firmware.activate(
                held, of: bytes, as: ownExpectation(of: held.image), Record.firmware, &journal,
                &out)
        else { return .activationFailure }
        out.note(.restarting, UInt64(profile.restartDelay.microseconds))
        phase = .restarting
        out.append(.restart(after: profile.restartDelay))
        return .success
    }
}
