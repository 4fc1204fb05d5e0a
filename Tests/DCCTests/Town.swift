import Crypto
import DCC
import GBCS
import Wire

/// A hub with a device of each type, their keys, their suppliers' and a product list, and a DCC in
/// front of them.
struct Town {
    static let supplier = EUI64(0x90B3_D51F_3001_0000)
    static let other = EUI64(0x90B3_D51F_3002_0000)
    static let broker = EUI64(0x90B3_D51F_3000_0002)
    static let wanProvider = EUI64(0x90B3_D51F_3000_0007)
    static let hub = EUI64(0x00DB_0000_0000_00A2)
    static let gpf = EUI64(0x00DB_0000_0000_00A3)
    static let esme = EUI64(0x00DB_0000_0000_00A0)
    static let gsme = EUI64(0x00DB_0000_0000_00A1)
    static let ppmid = EUI64(0x00DB_0000_0000_00A4)
    static let hcalcs = EUI64(0x00DB_0000_0000_00A5)
    static let ihd = EUI64(0x00DB_0000_0000_00A6)
    /// 2022-07-01: everything is in force.
    static let start = UTCTime(secondsSince2000: 709_948_800)

    var settings = DCCSettings()
    var store = KeyStore()
    var inventory: [InventoryDevice]
    var products: [ProductListEntry] = []
    var images: [EUI64: FirmwareImage] = [:]
    var dcc: DCC
    var now = Town.start
    /// All that has come out.
    var items: [DCCOutput] = []
    var records: [DCCRecord.Key: DCCRecord] = [:]
    var counter: UInt64 = 1_000

    static func key(of party: EUI64, _ use: String) -> P256.PrivateKey {
        var stream = SeededStream(Seed(7).named(use).indexed(party.rawValue))
        return .generate(from: &stream)
    }

    init(
        hubVersion: String = "4.0", _ change: (inout DCCSettings) -> Void = { _ in }
    ) throws {
        settings.users[Self.supplier] = ServiceUser(
            id: Self.supplier, name: "Supplier", roles: [.importSupplier, .gasSupplier])
        settings.users[Self.other] = ServiceUser(
            id: Self.other, name: "Other", roles: [.otherUser])
        settings.defaultRegion.delay = 3_600
        settings.defaultRegion.retryInterval = 600
        settings.defaultRegion.attemptTimeout = 900
        change(&settings)
        func device(_ id: EUI64, _ type: InventoryType, _ firmware: UInt32) -> InventoryDevice {
            var device = InventoryDevice(
                id: id, type: type, status: .commissioned, manufacturer: "FFF1",
                model: "\(type.rawValue) 1")
            device.firmware = firmware
            device.hub = Self.hub
            device.supplier = Self.supplier
            device.hardware = 0x0102
            device.gbcsVersion = "4.0"
            return device
        }
        var chf = device(Self.hub, .chf, 0x0100_0000)
        chf.gbcsVersion = hubVersion
        chf.supplier = nil
        inventory = [
            chf, device(Self.gpf, .gpf, 0x0100_0000), device(Self.esme, .esme, 0x0100_0001),
            device(Self.gsme, .gsme, 0x0100_0001), device(Self.ppmid, .ppmid, 0x0100_0001),
            device(Self.hcalcs, .hcalcs, 0x0100_0001), device(Self.ihd, .ihd, 0x0100_0001),
        ]
        for (number, device) in inventory.enumerated() {
            store.add(Self.key(of: device.id, "signing").publicKey, of: device.id, for: .signing)
            store.add(
                Self.key(of: device.id, "agreement").publicKey, of: device.id, for: .agreement)
            store.setDevice(device.id)
            guard let type = device.type.deviceType else { continue }
            var header = OTAHeader(
                manufacturerCode: 0xFFF1, imageType: ImageType(rawValue: UInt16(number)),
                fileVersion: 0x0200_0000)
            header.hardwareVersions = HardwareRange(minimum: 0x0100, maximum: 0x01FF)
            let payload = FirmwareImage.samplePayload(size: 2_000, seed: UInt64(number))
            let image =
                type == .ppmid
                ? try FirmwareImage.unsigned(header: header, manufacturerImage: payload)
                : try FirmwareImage.signed(
                    header: header, manufacturerImage: payload, forceReplace: false,
                    by: Self.key(of: Self.supplier, "signing"))
            images[device.id] = image
            products.append(
                ProductListEntry(
                    type: type, manufacturerCode: 0xFFF1, model: device.model,
                    imageType: UInt16(number), hardware: 0x0100...0x01FF, version: 0x0200_0000,
                    hash: image.manufacturerImageHash.bytes, installableFrom: [0x0100_0001],
                    gbcsVersion: "4.1"))
        }
        products[0].installableFrom = [0x0100_0000]
        store.add(Self.key(of: Self.broker, "agreement"), of: Self.broker, for: .agreement)
        store.set(.accessControlBroker, of: Self.broker)
        store.add(
            Self.key(of: Self.supplier, "signing").publicKey, of: Self.supplier, for: .signing)
        store.set(.supplier, of: Self.supplier)
        dcc = DCC(
            settings: settings, keys: DCCKeys(store), products: products, inventory: inventory)
    }

    /// Begins anew with nothing but what was to be kept.
    mutating func restart() {
        dcc = DCC(
            settings: settings, keys: DCCKeys(store), products: products, inventory: inventory,
            records: Array(records.values))
    }

    private mutating func take(_ out: DCCOutbox) {
        for item in out.items {
            switch item {
            case .save(let record): records[record.key] = record
            case .remove(let key): records[key] = nil
            default: break
            }
        }
        items += out.items
    }

    // MARK: - What a user does

    mutating func id(_ target: EUI64 = Town.broker, by user: EUI64 = Town.supplier) -> RequestID {
        counter += 1
        return RequestID(originator: user, target: target, counter: counter)
    }

    @discardableResult
    mutating func submit(_ request: ServiceRequest, over service: WebService? = nil)
        -> ServiceResponse
    {
        var out = DCCOutbox()
        let usual: WebService =
            switch request.commandVariant {
            case 4: .transform
            case 1, 5: .sendCommand
            default: .nonDevice
            }
        let response = dcc.submit(request, over: service ?? usual, at: now, into: &out)
        take(out)
        return response
    }

    func request(
        _ id: RequestID, _ variant: String, _ commandVariant: UInt8, _ body: ServiceRequest.Body
    ) -> ServiceRequest {
        ServiceRequest(
            id: id, commandVariant: commandVariant, reference: variant, variant: variant,
            body: body)
    }

    /// An 11.1, or an 11.4 for a PPMID.
    mutating func update(
        _ devices: [EUI64], with image: [UInt8]? = nil, version: String = "02000000",
        id: RequestID? = nil
    ) -> ServiceResponse {
        let isPPMID = devices.first == Self.ppmid
        let body = FirmwareUpdate(
            image: image ?? images[devices[0]]!.encoded(), version: version, devices: devices)
        let id = id ?? self.id()
        return submit(
            request(
                id, isPPMID ? "11.4" : "11.1", 8,
                isPPMID ? .updatePPMIDFirmware(body) : .updateFirmware(body)))
    }

    // MARK: - Time and hubs

    mutating func wait(_ seconds: UInt32) {
        let end = UTCTime(secondsSince2000: now.secondsSince2000 + seconds)
        while let next = dcc.nextDeadline, next <= end {
            now = max(now, next)
            var out = DCCOutbox()
            dcc.tick(at: now, into: &out)
            take(out)
        }
        now = end
    }

    mutating func hear(_ message: HubMessage, from hub: EUI64 = Town.hub) {
        var out = DCCOutbox()
        dcc.receive(message, from: hub, at: now, into: &out)
        take(out)
    }

    /// What a device runs a good while after a restart.
    mutating func find(_ version: UInt32, on device: EUI64) {
        var out = DCCOutbox()
        dcc.found(version, runningOn: device, at: now, into: &out)
        take(out)
    }

    mutating func acknowledge(_ notice: Notice) {
        var out = DCCOutbox()
        dcc.acknowledged(
            notice: notice.number, request: notice.request, device: notice.device, at: now,
            into: &out)
        take(out)
    }

    /// A message as a device sends it; signed if `isSigned`, else with a MAC where the DCC is to
    /// hear it.
    func message(
        _ kind: MessageKind, from device: EUI64, to recipient: EUI64, counter: UInt64,
        _ other: OtherInformation, _ content: MessageContent
    ) -> [UInt8] {
        let message = GBCSMessage(
            header: GroupingHeader(
                kind: kind, counter: counter, originator: device, recipient: recipient,
                otherInformation: other), payload: content.encoded(), signature: .empty)
        let demanded = Protection.demanded(by: other.messageCode, kind)
        var made = message
        if demanded?.signature == true {
            made = made.signed(by: Self.key(of: device, "signing"))
        }
        if demanded?.mac == true {
            var keys = KeyStore()
            keys.add(Self.key(of: device, "agreement"), of: device, for: .agreement)
            keys.add(
                Self.key(of: recipient, "agreement").publicKey, of: recipient, for: .agreement)
            keys.setDevice(device)
            made = made.authenticated(with: keys)!
        }
        return made.encoded()
    }

    // MARK: - What has come out

    var notices: [Notice] {
        items.compactMap { if case .notice(let notice) = $0 { notice } else { nil } }
    }
    var deliveries: [ImageDelivery] {
        items.compactMap { if case .deliver(let delivery) = $0 { delivery } else { nil } }
    }
    var sent: [(hub: EUI64, device: EUI64, bytes: [UInt8])] {
        items.compactMap {
            if case .message(let hub, let device, let bytes) = $0 {
                (hub, device, bytes)
            } else {
                nil
            }
        }
    }
    func statuses(of device: EUI64) -> [TrackingStatus] {
        items.compactMap {
            if case .track(let record) = $0, record.device == device { record.status } else { nil }
        }
    }
    /// What is said of a request, whoever its devices are.
    func statuses(of request: RequestID) -> [TrackingStatus] {
        items.compactMap {
            if case .track(let record) = $0, record.request == request {
                record.status
            } else {
                nil
            }
        }
    }
    /// The codes of DCC alerts, in order.
    var alerts: [String] {
        notices.compactMap {
            if case .dccAlert(let code, _) = $0.response.body { code.rawValue } else { nil }
        }
    }
}

extension ServiceResponse {
    var warning: FirmwareWarning? {
        switch body {
        case .response(_, _, .updateFirmwareWarning(let warning)),
            .response(_, _, .updatePPMIDFirmwareWarning(let warning)):
            warning
        default: nil
        }
    }
}
