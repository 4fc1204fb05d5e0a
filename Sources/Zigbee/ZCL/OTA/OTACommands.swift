import Wire

/// Which image is meant (ZCL 11.13): manufacturer code, image type, file version.
public struct ImageIdentity: Hashable, Sendable {
    public var manufacturer: UInt16
    public var imageType: UInt16
    public var version: UInt32

    public init(manufacturer: UInt16, imageType: UInt16, version: UInt32) {
        self.manufacturer = manufacturer
        self.imageType = imageType
        self.version = version
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        manufacturer = try reader.u16("manufacturer code")
        imageType = try reader.u16("image type")
        version = try reader.u32("file version")
    }

    func encode(into frame: inout FrameBuffer) {
        frame.append(manufacturer)
        frame.append(imageType)
        frame.append(version)
    }

    /// Whether `self`, as a response gives it, speaks of `image`: 0xFFFF and 0xFFFFFFFF are
    /// wildcards (ZCL 11.13.9.2).
    public func covers(_ image: ImageIdentity) -> Bool {
        (manufacturer == 0xFFFF || manufacturer == image.manufacturer)
            && (imageType == 0xFFFF || imageType == image.imageType)
            && (version == 0xFFFF_FFFF || version == image.version)
    }
}

/// Cluster 0x0019's command numbers (ZCL 11.13.2).
public enum OTACommandID {
    public static let imageNotify: UInt8 = 0x00
    public static let queryNextImageRequest: UInt8 = 0x01
    public static let queryNextImageResponse: UInt8 = 0x02
    public static let imageBlockRequest: UInt8 = 0x03
    public static let imagePageRequest: UInt8 = 0x04
    public static let imageBlockResponse: UInt8 = 0x05
    public static let upgradeEndRequest: UInt8 = 0x06
    public static let upgradeEndResponse: UInt8 = 0x07
    public static let queryDeviceSpecificFileRequest: UInt8 = 0x08
    public static let queryDeviceSpecificFileResponse: UInt8 = 0x09
}

/// S to C, 0x00: something new may be there (ZCL 11.13.3). How much follows the jitter depends
/// on the payload type.
public struct ImageNotify: Sendable, Equatable {
    /// 1-100: a client that draws a higher number stays quiet.
    public var jitter: UInt8
    public var manufacturer: UInt16?
    public var imageType: UInt16?
    public var version: UInt32?

    public init(
        jitter: UInt8, manufacturer: UInt16? = nil, imageType: UInt16? = nil,
        version: UInt32? = nil
    ) {
        self.jitter = jitter
        self.manufacturer = manufacturer
        self.imageType = imageType
        self.version = version
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let payload = try reader.u8("payload type")
        guard payload <= 3 else { throw WireError(.invalid, "payload type", at: 0) }
        jitter = try reader.u8("query jitter")
        guard 1...100 ~= jitter else { throw WireError(.invalid, "query jitter", at: 1) }
        manufacturer = payload >= 1 ? try reader.u16("manufacturer code") : nil
        imageType = payload >= 2 ? try reader.u16("image type") : nil
        version = payload >= 3 ? try reader.u32("new file version") : nil
    }

    public func encode(into frame: inout FrameBuffer) {
        let payload: UInt8 =
            manufacturer == nil ? 0 : imageType == nil ? 1 : version == nil ? 2 : 3
        frame.append(payload)
        frame.append(jitter)
        guard let manufacturer else { return }
        frame.append(manufacturer)
        guard let imageType else { return }
        frame.append(imageType)
        if let version { frame.append(version) }
    }
}

/// C to S, 0x01 (ZCL 11.13.4).
public struct QueryNextImageRequest: Sendable, Equatable {
    /// Manufacturer, image type and the version that runs now.
    public var current: ImageIdentity
    public var hardwareVersion: UInt16?

    public init(current: ImageIdentity, hardwareVersion: UInt16?) {
        self.current = current
        self.hardwareVersion = hardwareVersion
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let control = try reader.u8("field control")
        current = try ImageIdentity(parsing: &reader)
        hardwareVersion = control & 1 != 0 ? try reader.u16("hardware version") : nil
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append((hardwareVersion != nil ? 1 : 0) as UInt8)
        current.encode(into: &frame)
        if let hardwareVersion { frame.append(hardwareVersion) }
    }
}

/// S to C, 0x02 and 0x09 (ZCL 11.13.5, 11.13.11): the image and its size in bytes, header
/// included, only with SUCCESS.
public struct QueryNextImageResponse: Sendable, Equatable {
    public var status: ZCLStatus
    public var image: ImageIdentity?
    public var size: UInt32

    public init(offering image: ImageIdentity, size: UInt32) {
        status = .success
        self.image = image
        self.size = size
    }

    public init(refusing status: ZCLStatus) {
        self.status = status
        image = nil
        size = 0
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        status = ZCLStatus(rawValue: try reader.u8("status"))
        guard status == .success else {
            (image, size) = (nil, 0)
            return
        }
        image = try ImageIdentity(parsing: &reader)
        size = try reader.u32("image size")
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append(status.rawValue)
        guard let image else { return }
        image.encode(into: &frame)
        frame.append(size)
    }
}

/// C to S, 0x03 (ZCL 11.13.6).
public struct ImageBlockRequest: Sendable, Equatable {
    public var image: ImageIdentity
    public var offset: UInt32
    /// The most data bytes the response may carry.
    public var maximumDataSize: UInt8
    public var requester: EUI64?
    /// The period the client keeps to now, in the peer's unit; present if it can keep to another.
    public var minimumBlockPeriod: UInt16?

    public init(
        image: ImageIdentity, offset: UInt32, maximumDataSize: UInt8, requester: EUI64? = nil,
        minimumBlockPeriod: UInt16? = nil
    ) {
        self.image = image
        self.offset = offset
        self.maximumDataSize = maximumDataSize
        self.requester = requester
        self.minimumBlockPeriod = minimumBlockPeriod
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let control = try reader.u8("field control")
        image = try ImageIdentity(parsing: &reader)
        offset = try reader.u32("file offset")
        maximumDataSize = try reader.u8("maximum data size")
        requester = control & 1 != 0 ? try reader.eui64("request node address") : nil
        minimumBlockPeriod = control & 2 != 0 ? try reader.u16("minimum block period") : nil
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append((requester != nil ? 1 : 0) as UInt8 | (minimumBlockPeriod != nil ? 2 : 0))
        image.encode(into: &frame)
        frame.append(offset)
        frame.append(maximumDataSize)
        if let requester { frame.append(requester) }
        if let minimumBlockPeriod { frame.append(minimumBlockPeriod) }
    }
}

/// C to S, 0x04 (ZCL 11.13.7): a run of block responses, `spacing` milliseconds apart.
public struct ImagePageRequest: Sendable, Equatable {
    public var image: ImageIdentity
    public var offset: UInt32
    public var maximumDataSize: UInt8
    public var pageSize: UInt16
    public var spacing: UInt16
    public var requester: EUI64?

    public init(
        image: ImageIdentity, offset: UInt32, maximumDataSize: UInt8, pageSize: UInt16,
        spacing: UInt16, requester: EUI64? = nil
    ) {
        self.image = image
        self.offset = offset
        self.maximumDataSize = maximumDataSize
        self.pageSize = pageSize
        self.spacing = spacing
        self.requester = requester
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let control = try reader.u8("field control")
        image = try ImageIdentity(parsing: &reader)
        offset = try reader.u32("file offset")
        maximumDataSize = try reader.u8("maximum data size")
        pageSize = try reader.u16("page size")
        spacing = try reader.u16("response spacing")
        requester = control & 1 != 0 ? try reader.eui64("request node address") : nil
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append((requester != nil ? 1 : 0) as UInt8)
        image.encode(into: &frame)
        frame.append(offset)
        frame.append(maximumDataSize)
        frame.append(pageSize)
        frame.append(spacing)
        if let requester { frame.append(requester) }
    }
}

/// S to C, 0x05 (ZCL 11.13.8), as its status shapes it. The data itself is the rest of the frame.
public enum ImageBlockResponse: Sendable, Equatable {
    /// SUCCESS: `count` data bytes follow.
    case block(ImageIdentity, offset: UInt32, count: UInt8)
    /// WAIT_FOR_DATA: ask again at `requestTime`; times as UTC seconds, or an offset where
    /// `currentTime` is 0. Peers of SE 1.1 leave the period out.
    case wait(currentTime: UInt32, requestTime: UInt32, minimumBlockPeriod: UInt16?)
    /// ABORT, or any other status: no more of this image.
    case refused(ZCLStatus)

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let status = ZCLStatus(rawValue: try reader.u8("status"))
        switch status {
        case .success:
            let image = try ImageIdentity(parsing: &reader)
            let offset = try reader.u32("file offset")
            let count = try reader.u8("data size")
            guard reader.remaining >= Int(count) else {
                throw WireError(.truncated, "image data", at: reader.offset)
            }
            self = .block(image, offset: offset, count: count)
        case .waitForData:
            let current = try reader.u32("current time")
            let request = try reader.u32("request time")
            self = .wait(
                currentTime: current, requestTime: request,
                minimumBlockPeriod: reader.remaining >= 2
                    ? try reader.u16("minimum block period") : nil)
        default: self = .refused(status)
        }
    }

    /// Writes all but the data of a block.
    public func encode(into frame: inout FrameBuffer) {
        switch self {
        case .block(let image, let offset, let count):
            frame.append(ZCLStatus.success.rawValue)
            image.encode(into: &frame)
            frame.append(offset)
            frame.append(count)
        case .wait(let current, let request, let period):
            frame.append(ZCLStatus.waitForData.rawValue)
            frame.append(current)
            frame.append(request)
            if let period { frame.append(period) }
        case .refused(let status): frame.append(status.rawValue)
        }
    }
}

/// C to S, 0x06 (ZCL 11.13.9): SUCCESS, INVALID_IMAGE, REQUIRE_MORE_IMAGE or ABORT.
public struct UpgradeEndRequest: Sendable, Equatable {
    public var status: ZCLStatus
    public var image: ImageIdentity

    public init(status: ZCLStatus, image: ImageIdentity) {
        self.status = status
        self.image = image
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        status = ZCLStatus(rawValue: try reader.u8("status"))
        image = try ImageIdentity(parsing: &reader)
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append(status.rawValue)
        image.encode(into: &frame)
    }
}

/// S to C, 0x07 (ZCL 11.13.9.2): when to run the new image. Times as UTC seconds, or an offset
/// where `currentTime` is 0; 0xFFFFFFFF is "wait to be told".
public struct UpgradeEndResponse: Sendable, Equatable {
    public static let waitToBeTold: UInt32 = 0xFFFF_FFFF

    public var image: ImageIdentity
    public var currentTime: UInt32
    public var upgradeTime: UInt32

    public init(image: ImageIdentity, currentTime: UInt32, upgradeTime: UInt32) {
        self.image = image
        self.currentTime = currentTime
        self.upgradeTime = upgradeTime
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        image = try ImageIdentity(parsing: &reader)
        currentTime = try reader.u32("current time")
        upgradeTime = try reader.u32("upgrade time")
    }

    public func encode(into frame: inout FrameBuffer) {
        image.encode(into: &frame)
        frame.append(currentTime)
        frame.append(upgradeTime)
    }

    /// Seconds until the upgrade; nil for "wait to be told". Never negative.
    public var delay: UInt32? {
        if upgradeTime == Self.waitToBeTold { return nil }
        return upgradeTime > currentTime ? upgradeTime - currentTime : 0
    }
}

/// C to S, 0x08 (ZCL 11.13.10).
public struct QueryDeviceSpecificFileRequest: Sendable, Equatable {
    public var requester: EUI64
    public var image: ImageIdentity
    public var stackVersion: UInt16

    public init(requester: EUI64, image: ImageIdentity, stackVersion: UInt16) {
        self.requester = requester
        self.image = image
        self.stackVersion = stackVersion
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        requester = try reader.eui64("request node address")
        image = try ImageIdentity(parsing: &reader)
        stackVersion = try reader.u16("stack version")
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append(requester)
        image.encode(into: &frame)
        frame.append(stackVersion)
    }
}

/// The cluster's attributes, all on the client (ZCL 11.10).
public enum OTAAttributeID {
    public static let upgradeServerID: UInt16 = 0x0000
    public static let fileOffset: UInt16 = 0x0001
    public static let currentFileVersion: UInt16 = 0x0002
    public static let currentStackVersion: UInt16 = 0x0003
    public static let downloadedFileVersion: UInt16 = 0x0004
    public static let downloadedStackVersion: UInt16 = 0x0005
    public static let imageUpgradeStatus: UInt16 = 0x0006
    public static let manufacturerID: UInt16 = 0x0007
    public static let imageTypeID: UInt16 = 0x0008
    public static let minimumBlockPeriod: UInt16 = 0x0009
    public static let imageStamp: UInt16 = 0x000A
    public static let upgradeActivationPolicy: UInt16 = 0x000B
    public static let upgradeTimeoutPolicy: UInt16 = 0x000C
}

/// ImageUpgradeStatus (ZCL 11.10.7).
public enum ImageUpgradeStatus: UInt8, Sendable {
    case normal = 0
    case downloadInProgress = 1
    case downloadComplete = 2
    case waitingToUpgrade = 3
    case countDown = 4
    case waitForMore = 5
    /// ZCL 8. A client only says so of itself where its settings want it; it goes by 3.
    case waitingForExternalEvent = 6
}
