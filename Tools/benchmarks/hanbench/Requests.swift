import BenchmarkReport
import BenchmarkSupport
import Crypto
import DCC
import DUIS
import GBCS
import Wire

/// The rows of `Tools/bench dcc` that measure an 11.1: from the bytes of its XML to those of the
/// signed answer, and the bare work of parsing it with libxml2 and hashing its image.
struct Requests {
    let rounds: Int

    /// The most that DUIS has room for.
    static let devices = 50_000
    static let imageSize = 750_000
    /// Requests of one round.
    static let count = 10

    func measure() throws -> [Row] {
        let requests = [
            try FirmwareRequest(devices: Self.devices, refused: 0, inOrder: true),
            try FirmwareRequest(devices: Self.devices, refused: 0, inOrder: false),
            try FirmwareRequest(devices: Self.devices, refused: Self.devices / 2, inOrder: true),
        ]
        var rows = [Rounds(), Rounds(), Rounds()]
        for round in 1...rounds {
            say("round \(round) of \(rounds)")
            for (index, request) in requests.enumerated() {
                var (ours, bare) = (0.0, 0.0)
                for _ in 0..<Self.count {
                    ours += try request.run()
                    bare += try request.runBare()
                }
                let milliseconds = 1e3 / Double(Self.count)
                rows[index].add(ours * milliseconds, against: bare * milliseconds)
            }
        }
        return [
            rows[0].row(
                "request", target: 3, .lower,
                title: "ms for an 11.1 with 50,000 devices, from its XML to the signed answer, "
                    + "against libxml2 parsing it and libcrypto hashing its image"),
            rows[1].row(
                "request-shuffled", target: 3, .lower,
                title: "the same with the devices in no order"),
            rows[2].row(
                "request-warned", target: 3, .lower,
                title: "the same with half of the devices refused, which the answer lists"),
        ].compactMap(\.self)
    }
}

/// An 11.1 and the DCC that it is for.
final class FirmwareRequest {
    private static let (supplier, broker) = (EUI64(0x90B3_D51F_3001_0000), EUI64(2))

    private let bytes: [UInt8]
    private let image: [UInt8]
    private let hash: [UInt8]
    private let refused: Int
    private let reader: DUISReader
    private let signer: XMLSigner
    private let make: () -> DCC

    /// Of the devices, in the inventory's order or in none, every other is not commissioned until
    /// so many are `refused`.
    init(devices: Int, refused: Int, inOrder: Bool) throws {
        self.refused = refused
        var stream = SeededStream(Seed(1).named("benchmark request"))
        let signing = P256.PrivateKey.generate(from: &stream)
        var header = OTAHeader(
            manufacturerCode: 0xFFF1, imageType: ImageType(rawValue: 2), fileVersion: 0x0200_0000)
        header.hardwareVersions = HardwareRange(minimum: 0x0100, maximum: 0x01FF)
        let image = try FirmwareImage.signed(
            header: header,
            manufacturerImage: FirmwareImage.samplePayload(size: Requests.imageSize, seed: 1),
            forceReplace: false, by: signing)
        self.image = image.encoded()
        hash = SHA256.digest(self.image).bytes
        let inventory = (0..<devices).map { number in
            var device = InventoryDevice(
                id: EUI64(0x00DB_1234_0000_0000 + UInt64(number) * 16), type: .esme,
                status: number < 2 * refused && number % 2 == 0 ? .pending : .commissioned,
                manufacturer: "FFF1",
                model: "ESME 1")
            device.firmware = 0x0100_0001
            device.hub = EUI64(0x00DB_1235_0000_0000 + UInt64(number) * 16)
            device.supplier = Self.supplier
            device.hardware = 0x0102
            return device
        }
        let product = ProductListEntry(
            type: .esme, manufacturerCode: 0xFFF1, model: "ESME 1", imageType: 2,
            hardware: 0x0100...0x01FF, version: 0x0200_0000,
            hash: image.manufacturerImageHash.bytes, installableFrom: [0x0100_0001])
        var settings = DCCSettings()
        settings.id = Self.broker
        settings.users[Self.supplier] = ServiceUser(
            id: Self.supplier, name: "Supplier", roles: [.importSupplier])
        make = {
            DCC(
                settings: settings, keys: DCCKeys(KeyStore()), products: [product],
                inventory: inventory)
        }
        var keys = XMLKeys()
        let maker = XMLKeyMaker(seed: Seed(1))
        let (user, dsp) = (maker.make(.user, Self.supplier), maker.make(.dsp, Self.broker))
        keys.add(user)
        keys.add(dsp)
        guard let users = XMLSigner(user), let signer = XMLSigner(dsp) else {
            throw BenchmarkError("the keys of the benchmark cannot be used")
        }
        self.signer = signer
        reader = DUISReader(signatures: .demanded(keys))
        var ids = inventory.map(\.id)
        for place in stride(from: inOrder ? 0 : ids.count - 1, to: 0, by: -1) {
            ids.swapAt(place, Int(stream.below(UInt64(place + 1))))
        }
        bytes = try DUISWriter.request(
            ServiceRequest(
                id: RequestID(originator: Self.supplier, target: Self.broker, counter: 1),
                commandVariant: 8, reference: "11.1", variant: "11.1",
                body: .updateFirmware(
                    FirmwareUpdate(image: self.image, version: "02000000", devices: ids))),
            signedBy: users)
    }

    /// Seconds of processor time.
    func run() throws -> Double {
        // One that has not had this request.
        var dcc = make()
        let now = UTCTime(secondsSince2000: 709_948_800)
        let began = processorTime()
        let received = try reader.request(bytes)
        var out = DCCOutbox()
        let response = dcc.submit(received.request, over: .nonDevice, at: now, into: &out)
        let answer = try DUISWriter.response(
            response, requestIDText: received.idText, signedBy: signer)
        let seconds = processorTime() - began
        guard case .save(.update(let update))? = out.items.dropLast().last,
            update.devices.ids.count == Requests.devices - refused, answer.count > refused * 24
        else { throw BenchmarkError("the request is answered \(response.code)") }
        return seconds
    }

    func runBare() throws -> Double {
        var digest = [UInt8](repeating: 0, count: 32)
        let began = processorTime()
        let isParsed = xml_parse_and_hash(bytes, bytes.count, image, image.count, &digest)
        let seconds = processorTime() - began
        guard isParsed == 1, digest == hash else {
            throw BenchmarkError("libxml2 cannot parse the request")
        }
        return seconds
    }
}
