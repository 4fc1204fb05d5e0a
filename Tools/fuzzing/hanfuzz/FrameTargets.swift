import Wire
import Zigbee

extension FuzzTarget {
    /// One target for each layout on the air: what is read must, written and read again, stay
    /// the same bytes.
    static func frames() -> [FuzzTarget] {
        [
            layout("mac") { (reader, frame) throws(WireError) in
                try MACHeader(parsing: &reader).encode(into: &frame)
            },
            layout("mac-command") { (reader, frame) throws(WireError) in
                try MACCommand(parsing: &reader).encode(into: &frame)
            },
            layout("beacon") { (reader, frame) throws(WireError) in
                try Beacon(parsing: &reader).encode(into: &frame)
            },
            layout("nwk") { (reader, frame) throws(WireError) in
                try NWKHeader(parsing: &reader).encode(into: &frame)
            },
            layout("auxiliary") { (reader, frame) throws(WireError) in
                try AuxiliaryHeader(parsing: &reader).encodeForSealing(into: &frame)
            },
            layout("nwk-command") { (reader, frame) throws(WireError) in
                try NWKCommand(parsing: &reader).encode(into: &frame)
            },
            layout("aps") { (reader, frame) throws(WireError) in
                try APSHeader(parsing: &reader).encode(into: &frame)
            },
            layout("aps-command") { (reader, frame) throws(WireError) in
                try APSCommand(parsing: &reader).encode(into: &frame)
            },
            layout("device-announce") { (reader, frame) throws(WireError) in
                try DeviceAnnounce(parsing: &reader).encode(into: &frame)
            },
            layout("zcl") { (reader, frame) throws(WireError) in
                try ZCLHeader(parsing: &reader).encode(into: &frame)
            },
            layout("image-notify") { (reader, frame) throws(WireError) in
                try ImageNotify(parsing: &reader).encode(into: &frame)
            },
            layout("query-request") { (reader, frame) throws(WireError) in
                try QueryNextImageRequest(parsing: &reader).encode(into: &frame)
            },
            layout("query-response") { (reader, frame) throws(WireError) in
                try QueryNextImageResponse(parsing: &reader).encode(into: &frame)
            },
            layout("block-request") { (reader, frame) throws(WireError) in
                try ImageBlockRequest(parsing: &reader).encode(into: &frame)
            },
            layout("page-request") { (reader, frame) throws(WireError) in
                try ImagePageRequest(parsing: &reader).encode(into: &frame)
            },
            layout("block-response") { (reader, frame) throws(WireError) in
                let response = try ImageBlockResponse(parsing: &reader)
                response.encode(into: &frame)
                if case .block(_, _, let count) = response {
                    frame.append(try reader.take(Int(count), "image data"))
                }
            },
            layout("end-request") { (reader, frame) throws(WireError) in
                try UpgradeEndRequest(parsing: &reader).encode(into: &frame)
            },
            layout("end-response") { (reader, frame) throws(WireError) in
                try UpgradeEndResponse(parsing: &reader).encode(into: &frame)
            },
            layout("device-file-request") { (reader, frame) throws(WireError) in
                try QueryDeviceSpecificFileRequest(parsing: &reader).encode(into: &frame)
            },
        ]
    }

    private typealias Recode = (inout ByteReader, inout FrameBuffer) throws(WireError) -> Void

    private static func layout(_ name: String, _ recode: @escaping Recode) -> FuzzTarget {
        FuzzTarget(name, maximumLength: FrameBuffer.capacity) {
            Prepared(seeds: FrameSeeds.of(name)) { bytes in
                guard let first = recoded(bytes, recode) else { return }
                // What does not fit one frame is cut there.
                guard !first.isOverflowed else { return }
                guard let second = recoded(first.bytes, recode), second == first else {
                    found(
                        "\(Hex.string(bytes)) is written \(Hex.string(first.bytes)), which is "
                            + "not read back the same")
                }
            }
        }
    }

    private static func recoded(_ bytes: [UInt8], _ recode: Recode) -> FrameBuffer? {
        var reader = ByteReader(bytes.span)
        var frame = FrameBuffer()
        do {
            try recode(&reader, &frame)
        } catch {
            if error.offset > bytes.count { found("an error at offset \(error.offset)") }
            return nil
        }
        if reader.offset > bytes.count { found("\(reader.offset) bytes read") }
        return frame
    }
}

/// Bytes that our own encoders write, by layout.
enum FrameSeeds {
    static func of(_ name: String) -> [[UInt8]] {
        switch name {
        case "mac":
            [MACHeader.Kind.data, .command, .beacon, .acknowledgement].flatMap { kind in
                [MACAddress.none, .short(device), .extended(deviceEUI64)].map { source in
                    write {
                        MACHeader.within(
                            PANID(0x1234), kind: kind, sequence: 7, to: .short(.coordinator),
                            from: source
                        ).encode(into: &$0)
                    }
                }
            }
        case "mac-command":
            [
                MACCommand.associationRequest(capability),
                .associationResponse(device, status: 0), .disassociation(reason: 2), .dataRequest,
                .panConflict, .orphan, .beaconRequest,
            ].map { command in write { command.encode(into: &$0) } }
        case "beacon":
            [
                write {
                    Beacon(
                        associationPermitted: true, isCoordinator: true, routerCapacity: true,
                        depth: 0, endDeviceCapacity: true, extendedPAN: hub
                    ).encode(into: &$0)
                }
            ]
        case "nwk":
            [false, true].map { isLong in
                write {
                    var header = NWKHeader(
                        kind: .command, destination: .coordinator, source: device, radius: 1,
                        sequence: 5)
                    if isLong { (header.destinationEUI64, header.sourceEUI64) = (hub, deviceEUI64) }
                    header.encode(into: &$0)
                }
            }
        case "auxiliary":
            [KeyIdentifier.data, .network, .keyTransport].map { key in
                write {
                    AuxiliaryHeader(key: key, frameCounter: 1, source: hub)
                        .encodeForSealing(into: &$0)
                }
            }
        case "nwk-command":
            [
                NWKCommand.routeRequest(
                    .init(identifier: 7, destination: device, pathCost: 1)),
                .routeReply(
                    .init(identifier: 7, originator: device, responder: .coordinator, pathCost: 1)),
                .networkStatus(code: 11, destination: device),
                .leave(rejoin: true, request: false, removeChildren: false),
                .rejoinRequest(capability), .rejoinResponse(device, status: 0),
                .endDeviceTimeoutRequest(timeout: 8),
                .endDeviceTimeoutResponse(status: 0, parentInformation: 3),
                .linkStatus(
                    .init(entries: [
                        .init(neighbour: device, costs: 0x11),
                        .init(neighbour: .coordinator, costs: 0x77),
                    ])),
            ].map { command in write { command.encode(into: &$0) } }
        case "aps":
            [APSHeader.Kind.data, .command, .acknowledgement].map { kind in
                write {
                    var header = APSHeader(kind: kind, counter: 42)
                    header.acknowledgementRequested = true
                    (header.destinationEndpoint, header.sourceEndpoint) = (1, 1)
                    (header.cluster, header.profile) = (ClusterID.otaUpgrade, 0x0109)
                    header.encode(into: &$0)
                }
            }
        case "aps-command":
            [
                APSCommand.transportNetworkKey(
                    key, sequence: 0, destination: deviceEUI64, source: hub),
                .transportLinkKey(key, destination: deviceEUI64, source: hub),
                .updateDevice(deviceEUI64, device, status: 1), .removeDevice(deviceEUI64),
                .switchKey(sequence: 1),
                .tunnel(destination: deviceEUI64, command: FrameBuffer([0x21, 0x2A, 0x30])),
            ].map { command in write { command.encode(into: &$0) } }
        case "device-announce":
            [
                write {
                    DeviceAnnounce(address: device, eui64: deviceEUI64, capability: capability)
                        .encode(into: &$0)
                }
            ]
        case "zcl":
            [nil, 0x10D4].map { manufacturer in
                write {
                    ZCLHeader(
                        isClusterSpecific: true, fromServer: true, disableDefaultResponse: true,
                        sequence: 1, command: 5, manufacturer: manufacturer
                    ).encode(into: &$0)
                }
            }
        default: ota(name)
        }
    }

    private static func ota(_ name: String) -> [[UInt8]] {
        switch name {
        case "image-notify":
            [
                write { ImageNotify(jitter: 100).encode(into: &$0) },
                write {
                    ImageNotify(jitter: 50, manufacturer: 1, imageType: 2, version: 3)
                        .encode(into: &$0)
                },
            ]
        case "query-request":
            [nil, 1].map { hardware in
                write {
                    QueryNextImageRequest(current: image, hardwareVersion: hardware)
                        .encode(into: &$0)
                }
            }
        case "query-response":
            [
                write { QueryNextImageResponse(offering: image, size: 65_536).encode(into: &$0) },
                write {
                    QueryNextImageResponse(refusing: .noImageAvailable).encode(into: &$0)
                },
            ]
        case "block-request":
            [
                write {
                    ImageBlockRequest(image: image, offset: 0, maximumDataSize: 48)
                        .encode(into: &$0)
                },
                write {
                    ImageBlockRequest(
                        image: image, offset: 48, maximumDataSize: 48, requester: deviceEUI64,
                        minimumBlockPeriod: 500
                    ).encode(into: &$0)
                },
            ]
        case "page-request":
            [
                write {
                    ImagePageRequest(
                        image: image, offset: 0, maximumDataSize: 48, pageSize: 512, spacing: 300,
                        requester: deviceEUI64
                    ).encode(into: &$0)
                }
            ]
        case "block-response":
            [
                ImageBlockResponse.block(image, offset: 0, count: 4),
                .wait(currentTime: 0, requestTime: 60, minimumBlockPeriod: 500), .refused(.abort),
            ].map { response in
                write {
                    response.encode(into: &$0)
                    $0.appendZeros(4)
                }
            }
        case "end-request":
            [write { UpgradeEndRequest(status: .success, image: image).encode(into: &$0) }]
        case "end-response":
            [
                write {
                    UpgradeEndResponse(
                        image: image, currentTime: 0, upgradeTime: UpgradeEndResponse.waitToBeTold
                    ).encode(into: &$0)
                }
            ]
        case "device-file-request":
            [
                write {
                    QueryDeviceSpecificFileRequest(
                        requester: deviceEUI64, image: image, stackVersion: 2
                    ).encode(into: &$0)
                }
            ]
        default: []
        }
    }

    static let device = ShortAddress(0x3C9A)
    static let deviceEUI64 = EUI64(0x00BB_0000_0000_0001)
    static let hub = EUI64(0x00AA_0000_0000_0001)
    static let key = Key128(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)
    static let image = ImageIdentity(manufacturer: 0x10D4, imageType: 1, version: 2)
    static let capability = CapabilityInformation(
        isRouter: false, isMainsPowered: true, receiverOnWhenIdle: true)

    static func write(_ body: (inout FrameBuffer) -> Void) -> [UInt8] {
        var frame = FrameBuffer()
        body(&frame)
        return frame.bytes
    }
}
