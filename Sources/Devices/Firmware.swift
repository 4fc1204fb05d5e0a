import Crypto
import GBCS
import Radio
import Wire
import Zigbee

/// The firmware a node runs and the image it holds, in one journal record, so that a change from
/// one to the other is made at once or not at all.
struct FirmwareState: Sendable, Equatable {
    struct Held: Sendable, Equatable {
        var image: ImageIdentity
        var size: UInt32
        /// ZigBee stack version of its header.
        var stackVersion: UInt16
        /// SHA-256 of the manufacturer image, which an activation names (GBCS 11.5).
        var hash: Digest256
        /// Which of a hub's two slots for its own images it is in; a device has one.
        var place: UInt8 = 0
        /// The supplier whose signature it bears, of a device that knows whose key that is.
        var signer: EUI64?

        /// ImageStamp of the image once it runs: the hash's first four bytes, little-endian
        /// (assumption: ZCL leaves the stamp to the maker).
        var stamp: UInt32 { UInt32(truncatingIfNeeded: hash.words.0.byteSwapped) }
    }

    var running: UInt32
    /// ImageStamp of what runs.
    var stamp: UInt32
    var held: Held?
    /// Nil for the firmware that the node left the factory with.
    var image: Running?

    /// The image that runs.
    struct Running: Sendable, Equatable {
        var hash: Digest256
        /// Bytes of it in flash, in the same place as before; 0 once another image takes that.
        var size: UInt32
        var place: UInt8
    }

    /// Whether what runs is still what was activated, in the `slotSize` bytes at `address`. What
    /// the flash no longer holds, because another image has begun to arrive in its place, is not
    /// looked at.
    func verifies(
        in flash: FlashView, at address: Int, slotSize: Int, form: FirmwareImage.Form
    ) -> Bool {
        guard let image, image.size > 0 else { return true }
        guard Int(image.size) <= slotSize else { return false }
        let found = try? FirmwareImage(
            parsing: flash.read(address, count: Int(image.size)), form: form)
        return found?.manufacturerImageHash == image.hash
    }

    /// What came of an activation, with the version that runs now: the new one, if it has just
    /// been activated.
    func outcome(_ result: ActivationResult) -> ActivationOutcome {
        ActivationOutcome(result: result, version: running)
    }

    /// Has the image held be what runs, in one record: what is put into use is what was checked, or
    /// nothing (GBCS 11.5). False if the flash has something else in its place, which is then held
    /// no more.
    mutating func activate(
        _ held: Held, of bytes: [UInt8], as expectation: ImageExpectation, _ record: UInt8,
        _ journal: inout Journal, _ out: inout Outbox
    ) -> Bool {
        let old = running
        guard case .success(let checked) = expectation.check(bytes), checked.hash == held.hash
        else {
            self.held = nil
            journal.write(record, self.bytes, &out)
            out.note(
                .activationRefused, UInt64(RefusalReason.activationFailure.rawValue),
                UInt64(held.image.version))
            return false
        }
        self = FirmwareState(running: held.image.version, stamp: held.stamp)
        image = Running(hash: held.hash, size: held.size, place: held.place)
        journal.write(record, self.bytes, &out)
        out.note(.activated, UInt64(old), UInt64(running))
        return true
    }

    /// The most that `bytes` has.
    static let size = 101

    /// Layout, little-endian: running u32, stamp u32, held u8 (0 for no, 1 in the first place, 2
    /// in the second); if it is: manufacturer u16, image type u16, version u32, size u32, stack
    /// version u16, hash 32, signer u64 (0 for none); then what runs, u8; if it is known: hash 32,
    /// size u32, place u8.
    var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.put(UInt64(running), 4)
        builder.put(UInt64(stamp), 4)
        builder.put(held.map { 1 + UInt64($0.place) } ?? 0, 1)
        if let held {
            builder.put(held.image)
            builder.put(UInt64(held.size), 4)
            builder.put(UInt64(held.stackVersion), 2)
            builder.put(held.hash.bytes)
            builder.put(held.signer?.rawValue ?? 0, 8)
        }
        builder.put(image == nil ? 0 : 1, 1)
        if let image {
            builder.put(image.hash.bytes)
            builder.put(UInt64(image.size), 4)
            builder.put(UInt64(image.place), 1)
        }
        return builder.bytes
    }

    init(running: UInt32, stamp: UInt32 = 0) {
        self.running = running
        self.stamp = stamp
    }

    init(parsing bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes.span)
        running = try reader.u32("running version")
        stamp = try reader.u32("image stamp")
        let place = try reader.u8("held")
        if 1...2 ~= place { held = try Self.held(from: &reader, place: place - 1) }
        guard try reader.u8("image") == 1 else { return }
        let hash = try reader.digest("hash")
        let size = try reader.u32("size")
        let slot = try reader.u8("place")
        guard slot <= 1 else { throw WireError(.invalid, "place", at: reader.offset - 1) }
        image = Running(hash: hash, size: size, place: slot)
    }

    private static func held(
        from reader: inout ByteReader, place: UInt8
    ) throws(WireError) -> Held {
        let image = ImageIdentity(
            manufacturer: try reader.u16("manufacturer"), imageType: try reader.u16("image type"),
            version: try reader.u32("version"))
        let size = try reader.u32("size")
        let stackVersion = try reader.u16("stack version")
        let hash = try reader.digest("hash")
        let signer = try reader.u64("signer")
        return Held(
            image: image, size: size, stackVersion: stackVersion, hash: hash, place: place,
            signer: signer == 0 ? nil : EUI64(signer))
    }
}

/// A download as far as it is saved.
struct DownloadState: Sendable, Equatable {
    var image: ImageIdentity
    var size: UInt32
    var offset: UInt32
    /// Blocks taken so far.
    var blocks: UInt32

    /// Layout, little-endian: manufacturer u16, image type u16, version u32, size u32, offset u32,
    /// blocks u32.
    /// In a frame, because it is written every few blocks and a frame allocates nothing.
    var encoded: FrameBuffer {
        var frame = FrameBuffer()
        frame.append(image.manufacturer)
        frame.append(image.imageType)
        frame.append(image.version)
        frame.append(size)
        frame.append(offset)
        frame.append(blocks)
        return frame
    }

    init(image: ImageIdentity, size: UInt32, offset: UInt32, blocks: UInt32) {
        self.image = image
        self.size = size
        self.offset = offset
        self.blocks = blocks
    }

    init(parsing bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes.span)
        image = ImageIdentity(
            manufacturer: try reader.u16("manufacturer"), imageType: try reader.u16("image type"),
            version: try reader.u32("version"))
        size = try reader.u32("size")
        offset = try reader.u32("offset")
        blocks = try reader.u32("blocks")
    }
}

extension ByteReader {
    mutating func digest(_ field: StaticString) throws(WireError) -> Digest256 {
        let start = offset
        guard let digest = Digest256(try bytes(32, field)) else {
            throw WireError(.invalid, field, at: start)
        }
        return digest
    }
}

extension ByteBuilder {
    mutating func put(_ image: ImageIdentity) {
        put(UInt64(image.manufacturer), 2)
        put(UInt64(image.imageType), 2)
        put(UInt64(image.version), 4)
    }
}

/// What the image must be for whoever checks it.
struct ImageExpectation {
    var image: ImageIdentity
    var hardwareVersion: UInt16
    var type: DeviceType
    /// Whose signature it must bear, in the forms that have one.
    var signer: P256.PublicKey?

    /// Checks a whole image as received: header, hardware, version, signature (GBCS 11.2; the
    /// order is an assumption). The hash of the manufacturer image, or why it is refused.
    func check(_ bytes: [UInt8]) -> Result<CheckedImage, ImageRefusal> {
        let parsed: FirmwareImage
        do {
            parsed = try FirmwareImage(parsing: bytes, form: type.imageForm)
        } catch {
            return .failure(ImageRefusal(.malformedImage))
        }
        let header = parsed.header
        if header.manufacturerCode != image.manufacturer {
            return .failure(ImageRefusal(.wrongManufacturer))
        }
        if header.imageType.rawValue != image.imageType {
            return .failure(ImageRefusal(.wrongImageType))
        }
        if let range = header.hardwareVersions, !range.contains(hardwareVersion) {
            return .failure(ImageRefusal(.wrongHardware))
        }
        if header.fileVersion != image.version { return .failure(ImageRefusal(.versionMismatch)) }
        if type.imageForm == .gbcsSigned {
            guard let signer else { return .failure(ImageRefusal(.noSignature)) }
            switch parsed.verifySignature(by: signer) {
            case .valid: break
            case .none: return .failure(ImageRefusal(.noSignature))
            default: return .failure(ImageRefusal(.badSignature))
            }
        }
        return .success(
            CheckedImage(
                hash: parsed.manufacturerImageHash, stackVersion: header.stackVersion.rawValue))
    }
}

/// What a device keeps of an image that has passed.
struct CheckedImage: Equatable {
    /// SHA-256 of the manufacturer image.
    var hash: Digest256
    var stackVersion: UInt16
}

struct ImageRefusal: Error {
    var reason: RefusalReason
    init(_ reason: RefusalReason) { self.reason = reason }
}
