import Foundation
import TestSupport
import Testing
import Wire
import Zigbee

/// zigpy as an independent reader and writer of the OTA cluster's commands.
enum Zigpy {
    /// The interpreter that has zigpy, if there is one.
    static let python: String? = {
        let path =
            Command.environment("HAN_PYTHON")
            ?? Reference.project.appending(path: ".build/venv/bin/python").path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    struct Request: Codable {
        var command: UInt8
        var toClient: Bool
        var payload: String
        var fields: [String: String]
        /// A profile-wide command, which zigpy only reads and writes again.
        var general = false
        /// A ZDO cluster, of which this is the payload behind the transaction number; zigpy reads
        /// it and writes it again.
        var cluster: UInt16?
    }

    struct Verdict: Codable {
        var error: String?
        var name: String?
        var fields: [String: String]?
        var rest: Int?
        var made: String?
    }

    /// What zigpy says of each request, in order, from one process.
    static func judge(_ requests: [Request]) throws -> [Verdict] {
        let folder = try TemporaryFolder()
        let encoder = JSONEncoder()
        let lines = try requests.map { String(decoding: try encoder.encode($0), as: UTF8.self) }
        try Data((lines.joined(separator: "\n") + "\n").utf8)
            .write(to: folder.url.appending(path: "requests"))
        let script = Reference.project.appending(path: "Tools/oracle/zigpy_commands.py").path
        let run = try Command.run(
            "sh",
            [
                "-c", "exec \"$1\" \"$2\" < \"$3\"", "sh", try #require(python), script,
                folder.path("requests"),
            ])
        #expect(run.status == 0, "\(run.errors)")
        return try run.output.split(separator: "\n").map {
            try JSONDecoder().decode(Verdict.self, from: Data($0.utf8))
        }
    }
}

/// One command as we encode it, with the values that zigpy must see in it.
struct CommandCase {
    var name: String
    var command: UInt8
    var toClient: Bool
    var codec: Codec
    var payload: FrameBuffer
    var fields: [String: String]

    init(
        _ name: String, _ command: UInt8, toClient: Bool, _ codec: Codec, _ payload: FrameBuffer,
        _ fields: [String: String]
    ) {
        (self.name, self.command, self.toClient) = (name, command, toClient)
        (self.codec, self.payload, self.fields) = (codec, payload, fields)
    }
}

/// Every command in every combination of its optional fields, with values from a seed.
struct CommandCases {
    private var stream: SeededStream
    private(set) var all: [CommandCase] = []

    init(seed: UInt64, rounds: Int) {
        stream = SeededStream(Seed(seed))
        for _ in 0..<rounds { round() }
    }

    private mutating func u8() -> UInt8 { UInt8(truncatingIfNeeded: stream.next()) }
    private mutating func u16() -> UInt16 { UInt16(truncatingIfNeeded: stream.next()) }
    private mutating func u32() -> UInt32 { UInt32(truncatingIfNeeded: stream.next()) }
    private mutating func image() -> ImageIdentity {
        ImageIdentity(manufacturer: u16(), imageType: u16(), version: u32())
    }

    private func fields(
        _ image: ImageIdentity, version: String = "file_version"
    ) -> [String: String] {
        [
            "manufacturer_code": "\(image.manufacturer)", "image_type": "\(image.imageType)",
            version: "\(image.version)",
        ]
    }

    private static func encoded(_ write: (inout FrameBuffer) -> Void) -> FrameBuffer {
        var frame = FrameBuffer()
        write(&frame)
        return frame
    }

    private mutating func round() {
        notify()
        queries()
        requests()
        blockResponses()
        ends()
    }

    private mutating func notify() {
        for kind in 0...3 {
            let image = image()
            let notify = ImageNotify(
                jitter: UInt8(stream.below(100)) + 1,
                manufacturer: kind >= 1 ? image.manufacturer : nil,
                imageType: kind >= 2 ? image.imageType : nil,
                version: kind >= 3 ? image.version : nil)
            var fields = ["payload_type": "\(kind)", "query_jitter": "\(notify.jitter)"]
            if kind >= 1 { fields["manufacturer_code"] = "\(image.manufacturer)" }
            if kind >= 2 { fields["image_type"] = "\(image.imageType)" }
            if kind >= 3 { fields["new_file_version"] = "\(image.version)" }
            all.append(
                CommandCase(
                    "image_notify", 0x00, toClient: true, .notify,
                    Self.encoded { notify.encode(into: &$0) }, fields))
        }
    }

    private mutating func queries() {
        for hardware in [nil, u16()] {
            let image = image()
            var fields = fields(image, version: "current_file_version")
            fields["field_control"] = hardware == nil ? "0" : "1"
            if let hardware { fields["hardware_version"] = "\(hardware)" }
            let request = QueryNextImageRequest(current: image, hardwareVersion: hardware)
            all.append(
                CommandCase(
                    "query_next_image", 0x01, toClient: false, .query,
                    Self.encoded { request.encode(into: &$0) }, fields))
        }
        for (command, name) in [
            (0x02, "query_next_image_response"), (0x09, "query_specific_file_response"),
        ] {
            let image = image()
            let size = u32()
            let offer = QueryNextImageResponse(offering: image, size: size)
            var given = fields(image)
            given["status"] = "0"
            given["image_size"] = "\(size)"
            all.append(
                CommandCase(
                    name, UInt8(command), toClient: true, .offer,
                    Self.encoded { offer.encode(into: &$0) }, given))
            for status in [ZCLStatus.noImageAvailable, .notAuthorized, .malformedCommand] {
                let refusal = QueryNextImageResponse(refusing: status)
                all.append(
                    CommandCase(
                        name, UInt8(command), toClient: true, .offer,
                        Self.encoded { refusal.encode(into: &$0) },
                        ["status": "\(status.rawValue)"]))
            }
        }
        let image = image()
        let request = QueryDeviceSpecificFileRequest(
            requester: EUI64(stream.next()), image: image, stackVersion: u16())
        var given = fields(image)
        given["request_node_addr"] = request.requester.description.lowercased()
        given["current_zigbee_stack_version"] = "\(request.stackVersion)"
        all.append(
            CommandCase(
                "query_specific_file", 0x08, toClient: false, .deviceFile,
                Self.encoded { request.encode(into: &$0) }, given))
    }

    private mutating func requests() {
        for control in 0..<4 {
            let image = image()
            let request = ImageBlockRequest(
                image: image, offset: u32(), maximumDataSize: u8(),
                requester: control & 1 != 0 ? EUI64(stream.next()) : nil,
                minimumBlockPeriod: control & 2 != 0 ? u16() : nil)
            var given = fields(image)
            given["field_control"] = "\(control)"
            given["file_offset"] = "\(request.offset)"
            given["maximum_data_size"] = "\(request.maximumDataSize)"
            given["request_node_addr"] = request.requester?.description.lowercased()
            given["minimum_block_period"] = request.minimumBlockPeriod.map { "\($0)" }
            all.append(
                CommandCase(
                    "image_block", 0x03, toClient: false, .block,
                    Self.encoded { request.encode(into: &$0) }, given))
        }
        for control in 0..<2 {
            let image = image()
            let request = ImagePageRequest(
                image: image, offset: u32(), maximumDataSize: u8(), pageSize: u16(),
                spacing: u16(), requester: control == 1 ? EUI64(stream.next()) : nil)
            var given = fields(image)
            given["field_control"] = "\(control)"
            given["file_offset"] = "\(request.offset)"
            given["maximum_data_size"] = "\(request.maximumDataSize)"
            given["page_size"] = "\(request.pageSize)"
            given["response_spacing"] = "\(request.spacing)"
            given["request_node_addr"] = request.requester?.description.lowercased()
            all.append(
                CommandCase(
                    "image_page", 0x04, toClient: false, .page,
                    Self.encoded { request.encode(into: &$0) }, given))
        }
    }

    private mutating func blockResponses() {
        let image = image()
        let offset = u32()
        let data = stream.bytes(Int(stream.below(57)))
        let block = ImageBlockResponse.block(image, offset: offset, count: UInt8(data.count))
        var given = fields(image)
        given["status"] = "0"
        given["file_offset"] = "\(offset)"
        given["image_data"] = Hex.string(data)
        all.append(
            CommandCase(
                "image_block_response", 0x05, toClient: true, .blockResponse,
                Self.encoded {
                    block.encode(into: &$0)
                    $0.append(data.span)
                }, given))
        let (current, request, period) = (u32(), u32(), u16())
        let wait = ImageBlockResponse.wait(
            currentTime: current, requestTime: request, minimumBlockPeriod: period)
        all.append(
            CommandCase(
                "image_block_response", 0x05, toClient: true, .blockResponse,
                Self.encoded { wait.encode(into: &$0) },
                [
                    "status": "151", "current_time": "\(current)", "request_time": "\(request)",
                    "minimum_block_period": "\(period)",
                ]))
        all.append(
            CommandCase(
                "image_block_response", 0x05, toClient: true, .blockResponse,
                Self.encoded { ImageBlockResponse.refused(.abort).encode(into: &$0) },
                ["status": "149"]))
    }

    private mutating func ends() {
        for status in [ZCLStatus.success, .invalidImage, .requireMoreImage, .abort] {
            let image = image()
            var given = fields(image)
            given["status"] = "\(status.rawValue)"
            all.append(
                CommandCase(
                    "upgrade_end", 0x06, toClient: false, .endRequest,
                    Self.encoded {
                        UpgradeEndRequest(status: status, image: image).encode(into: &$0)
                    },
                    given))
        }
        let response = UpgradeEndResponse(image: image(), currentTime: u32(), upgradeTime: u32())
        var given = fields(response.image)
        given["current_time"] = "\(response.currentTime)"
        given["upgrade_time"] = "\(response.upgradeTime)"
        all.append(
            CommandCase(
                "upgrade_end_response", 0x07, toClient: true, .endResponse,
                Self.encoded { response.encode(into: &$0) }, given))
    }
}

@Suite(
    "zigpy reads and writes our commands",
    .enabled(
        if: Zigpy.python != nil,
        "no Python with zigpy; run Tools/test, which makes one, or set HAN_PYTHON"))
struct ZigpyCommandTests {
    @Test("every OTA command, in every combination of fields, is the same to zigpy both ways")
    func commands() throws {
        let cases = CommandCases(seed: 31, rounds: 60).all
        #expect(Set(cases.map(\.command)) == Set(0...9))
        let verdicts = try Zigpy.judge(
            cases.map {
                Zigpy.Request(
                    command: $0.command, toClient: $0.toClient,
                    payload: Hex.string($0.payload.bytes), fields: $0.fields)
            })
        try #require(verdicts.count == cases.count)
        for (each, verdict) in zip(cases, verdicts) {
            let hex = Hex.string(each.payload.bytes)
            #expect(verdict.error == nil, "\(each.name) \(hex)")
            #expect(verdict.name == each.name)
            #expect(verdict.rest == 0, "\(each.name) \(hex)")
            #expect(verdict.fields == each.fields, "\(each.name) \(hex)")
            // What zigpy makes of the same values is byte for byte ours, and reads as ours.
            #expect(verdict.made == hex, "\(each.name)")
            let made = try #require(Hex.bytes(verdict.made ?? ""))
            let recoded = try each.codec.recode(made)
            #expect(recoded == Codec.Recoded(bytes: made, used: made.count))
        }
    }
}
