import Wire
import Zigbee

/// Who asks or is asked. The stranger has the network key, and nothing more.
enum Party {
    case hub
    case device
    case stranger

    var index: Int {
        switch self {
        case .hub: 0
        case .device: 1
        case .stranger: 2
        }
    }
}

/// One ZDO request as bytes, and what must come of it.
///
/// Bytes stand behind the transaction number, as hex with these words among them: HUB64, DEV64
/// and WHO64 are EUI-64s, HUB, DEV and WHO the short addresses of hub, device and stranger.
struct ZDOCase {
    var name: String
    var cluster: UInt16
    var asker: Party
    var asked: Party
    /// A NWK broadcast instead of a unicast.
    var broadcast: ShortAddress?
    var request: String
    /// Nil for no answer.
    var answer: String?
    var drop: DropReason?
    /// Fields that zigpy must read in the answer.
    var fields: [String: String]

    init(
        _ name: String, _ cluster: UInt16, _ asker: Party, _ asked: Party, _ request: String,
        _ answer: String? = nil, drop: DropReason? = nil, to broadcast: ShortAddress? = nil,
        zigpy fields: [String: String] = [:]
    ) {
        (self.name, self.cluster, self.asker, self.asked) = (name, cluster, asker, asked)
        (self.request, self.answer, self.drop) = (request, answer, drop)
        (self.broadcast, self.fields) = (broadcast, fields)
    }

    static let hubEndpoints = [
        SimpleDescriptor(
            endpoint: 1, profile: ProfileID.smartEnergy, device: 0x0508,
            inputClusters: [0x0000, World.cluster], outputClusters: [0x0702]),
        SimpleDescriptor(
            endpoint: 7, profile: 0x0104, device: 0x0100, inputClusters: [0x0006],
            outputClusters: []),
    ]
    static let deviceEndpoints = [
        SimpleDescriptor(
            endpoint: 2, profile: ProfileID.smartEnergy, device: 0x0501,
            inputClusters: [0x0000, 0x0702], outputClusters: [0x000A, World.cluster])
    ]

    static let all =
        addresses + nodes + simples + endpoints + matches + management + unsupported + malformed

    private static let addresses = [
        ZDOCase("NWK_addr", 0x0000, .device, .hub, "HUB64 00 00", "00 HUB64 HUB"),
        ZDOCase("NWK_addr", 0x0000, .hub, .device, "DEV64 00 00", "00 DEV64 DEV"),
        ZDOCase("NWK_addr", 0x0000, .stranger, .device, "DEV64 00 00", "00 DEV64 DEV"),
        ZDOCase(
            "NWK_addr, extended", 0x0000, .device, .hub, "HUB64 01 00",
            "00 HUB64 HUB 01 00 DEV",
            zigpy: ["Status": "0", "NumAssocDev": "1", "StartIndex": "0"]),
        ZDOCase(
            "NWK_addr, extended, beyond the last child", 0x0000, .device, .hub, "HUB64 01 05",
            "00 HUB64 HUB 00 05"),
        ZDOCase(
            "NWK_addr, extended, without children", 0x0000, .hub, .device, "DEV64 01 00",
            "00 DEV64 DEV 00"),
        ZDOCase(
            "NWK_addr, a reserved type", 0x0000, .device, .hub, "HUB64 02 00", "80 HUB64 HUB"),
        ZDOCase(
            "NWK_addr of another", 0x0000, .stranger, .hub, "WHO64 00 00", "81 WHO64 FFFF"),
        ZDOCase(
            "NWK_addr to all", 0x0000, .stranger, .hub, "HUB64 00 00", "00 HUB64 HUB",
            to: .receiversOn),
        ZDOCase(
            "NWK_addr to all", 0x0000, .stranger, .device, "DEV64 00 00", "00 DEV64 DEV",
            to: .receiversOn),
        ZDOCase(
            "NWK_addr of another, to all", 0x0000, .stranger, .hub, "WHO64 00 00",
            drop: .zdoUnexpected, to: .receiversOn),
        ZDOCase("IEEE_addr", 0x0001, .device, .hub, "HUB 00 00", "00 HUB64 HUB"),
        ZDOCase("IEEE_addr", 0x0001, .stranger, .device, "DEV 00 00", "00 DEV64 DEV"),
        ZDOCase(
            "IEEE_addr, extended", 0x0001, .stranger, .hub, "HUB 01 00",
            "00 HUB64 HUB 01 00 DEV"),
        ZDOCase(
            "IEEE_addr, extended, without children", 0x0001, .hub, .device, "DEV 01 00",
            "00 DEV64 DEV 00"),
        ZDOCase("IEEE_addr of a child", 0x0001, .stranger, .hub, "DEV 00 00", "00 DEV64 DEV"),
        ZDOCase("IEEE_addr, a reserved type", 0x0001, .device, .hub, "HUB 7F 00", "80 HUB64 HUB"),
        ZDOCase(
            "IEEE_addr of nobody", 0x0001, .device, .hub, "7777 00 00",
            "81 FFFFFFFFFFFFFFFF 7777"),
    ]

    private static let nodes = [
        ZDOCase(
            "Node_Desc", 0x0002, .device, .hub, "HUB",
            "00 HUB  00 40 8E F1FF 52 0006 012A 0006 00",
            zigpy: [
                "NodeDescriptor.logical_type": "0", "NodeDescriptor.frequency_band": "8",
                "NodeDescriptor.mac_capability_flags": "142",
                "NodeDescriptor.manufacturer_code": "65521",
                "NodeDescriptor.maximum_buffer_size": "82",
                "NodeDescriptor.maximum_incoming_transfer_size": "1536",
                "NodeDescriptor.server_mask": "\(21 << 9 | 1)",
                "NodeDescriptor.maximum_outgoing_transfer_size": "1536",
            ]),
        ZDOCase(
            "Node_Desc", 0x0002, .stranger, .device, "DEV",
            "00 DEV  02 40 8C F1FF 52 0006 002A 0006 00",
            zigpy: [
                "NodeDescriptor.logical_type": "2",
                "NodeDescriptor.mac_capability_flags": "140",
                "NodeDescriptor.server_mask": "\(21 << 9)",
            ]),
        // What an end device is asked of others is wrong; a parent keeps no descriptors.
        ZDOCase("Node_Desc of the parent", 0x0002, .hub, .device, "HUB", "80 HUB"),
        ZDOCase("Node_Desc of a child", 0x0002, .device, .hub, "DEV", "89 DEV"),
        ZDOCase("Node_Desc of nobody", 0x0002, .device, .hub, "7777", "81 7777"),
        ZDOCase(
            "Power_Desc", 0x0003, .device, .hub, "HUB", "00 HUB 10 C1",
            zigpy: [
                "PowerDescriptor.current_power_mode": "0",
                "PowerDescriptor.available_power_sources": "1",
                "PowerDescriptor.current_power_source": "1",
                "PowerDescriptor.current_power_source_level": "12",
            ]),
        ZDOCase("Power_Desc", 0x0003, .stranger, .device, "DEV", "00 DEV 10 C1"),
        ZDOCase("Power_Desc of the parent", 0x0003, .hub, .device, "HUB", "80 HUB"),
        ZDOCase("Power_Desc of a child", 0x0003, .device, .hub, "DEV", "89 DEV"),
        ZDOCase("Power_Desc of nobody", 0x0003, .device, .hub, "7777", "81 7777"),
    ]

    private static let simples = [
        ZDOCase(
            "Simple_Desc", 0x0004, .device, .hub, "HUB 01",
            "00 HUB 0E 01 0901 0805 00 02 0000 1900 01 0207",
            zigpy: [
                "SimpleDescriptor.endpoint": "1", "SimpleDescriptor.profile": "265",
                "SimpleDescriptor.device_type": "1288",
                "SimpleDescriptor.input_clusters": "0,25",
                "SimpleDescriptor.output_clusters": "1794",
            ]),
        ZDOCase(
            "Simple_Desc, the other endpoint", 0x0004, .stranger, .hub, "HUB 07",
            "00 HUB 0A 07 0401 0001 00 01 0600 00"),
        ZDOCase(
            "Simple_Desc", 0x0004, .hub, .device, "DEV 02",
            "00 DEV 10 02 0901 0105 00 02 0000 0207 02 0A00 1900"),
        ZDOCase("Simple_Desc, not active", 0x0004, .hub, .device, "DEV 01", "83 DEV 00"),
        ZDOCase("Simple_Desc, not active", 0x0004, .device, .hub, "HUB F0", "83 HUB 00"),
        ZDOCase("Simple_Desc of endpoint 0", 0x0004, .device, .hub, "HUB 00", "82 HUB 00"),
        ZDOCase("Simple_Desc of endpoint 241", 0x0004, .device, .hub, "HUB F1", "82 HUB 00"),
        ZDOCase("Simple_Desc of the parent", 0x0004, .hub, .device, "HUB 01", "80 HUB 00"),
        ZDOCase("Simple_Desc of a child", 0x0004, .stranger, .hub, "DEV 02", "89 DEV 00"),
        ZDOCase("Simple_Desc of nobody", 0x0004, .stranger, .hub, "7777 02", "81 7777 00"),
    ]

    private static let endpoints = [
        ZDOCase(
            "Active_EP", 0x0005, .device, .hub, "HUB", "00 HUB 02 01 07",
            zigpy: ["Status": "0", "ActiveEPList": "1,7"]),
        ZDOCase("Active_EP", 0x0005, .stranger, .device, "DEV", "00 DEV 01 02"),
        ZDOCase("Active_EP of the parent", 0x0005, .hub, .device, "HUB", "80 HUB 00"),
        ZDOCase("Active_EP of a child", 0x0005, .device, .hub, "DEV", "89 DEV 00"),
        ZDOCase("Active_EP of nobody", 0x0005, .device, .hub, "7777", "81 7777 00"),
    ]

    private static let matches = [
        ZDOCase(
            "Match_Desc, a server", 0x0006, .device, .hub, "HUB 0901 01 1900 00",
            "00 HUB 01 01", zigpy: ["Status": "0", "MatchList": "1"]),
        ZDOCase(
            "Match_Desc, a client", 0x0006, .hub, .device, "DEV 0901 00 01 1900",
            "00 DEV 01 02"),
        ZDOCase(
            "Match_Desc, any profile", 0x0006, .stranger, .hub, "HUB FFFF 02 1900 0600 00",
            "00 HUB 02 01 07"),
        ZDOCase(
            "Match_Desc, another profile", 0x0006, .device, .hub, "HUB 0401 01 1900 00",
            "00 HUB 00"),
        ZDOCase(
            "Match_Desc, the other way round", 0x0006, .device, .hub, "HUB 0901 00 01 1900",
            "00 HUB 00"),
        ZDOCase(
            "Match_Desc to all", 0x0006, .stranger, .hub, "FDFF 0901 01 1900 00",
            "00 HUB 01 01", to: .receiversOn),
        ZDOCase(
            "Match_Desc to all", 0x0006, .stranger, .device, "FDFF 0901 01 0207 00",
            "00 DEV 01 02", to: .receiversOn),
        ZDOCase(
            "Match_Desc to all, no match", 0x0006, .stranger, .hub, "FDFF 0901 01 0207 00",
            drop: .zdoUnexpected, to: .receiversOn),
        ZDOCase(
            "Match_Desc of the parent", 0x0006, .hub, .device, "HUB 0901 01 1900 00",
            "80 HUB 00"),
        ZDOCase(
            "Match_Desc of nobody", 0x0006, .device, .hub, "7777 0901 01 1900 00",
            "81 7777 00"),
    ]

    /// Who is not the trust centre neither puts anybody out nor lets anybody in. What the trust
    /// centre asks for has stories of its own.
    private static let management = [
        ZDOCase("Mgmt_Leave", 0x0034, .stranger, .device, "DEV64 00", "8D"),
        ZDOCase("Mgmt_Leave, itself", 0x0034, .stranger, .device, "0000000000000000 00", "8D"),
        ZDOCase("Mgmt_Leave, rejoin", 0x0034, .stranger, .device, "DEV64 80", "8D"),
        ZDOCase("Mgmt_Leave of another", 0x0034, .stranger, .device, "HUB64 00", "8D"),
        ZDOCase("Mgmt_Leave", 0x0034, .device, .hub, "HUB64 00", "8D"),
        ZDOCase("Mgmt_Leave", 0x0034, .stranger, .hub, "HUB64 00", "8D"),
        ZDOCase(
            "Mgmt_Leave to all", 0x0034, .stranger, .device, "0000000000000000 00",
            to: .receiversOn),
        ZDOCase("Mgmt_Leave of another", 0x0034, .hub, .device, "WHO64 00", "84"),
        ZDOCase("Mgmt_Permit_Joining", 0x0036, .stranger, .hub, "00 01", "8D"),
        ZDOCase("Mgmt_Permit_Joining", 0x0036, .device, .hub, "00 01", "8D"),
        ZDOCase("Mgmt_Permit_Joining", 0x0036, .stranger, .device, "3C 01", "8D"),
        ZDOCase("Mgmt_Permit_Joining", 0x0036, .hub, .device, "3C 01", "8D"),
        ZDOCase(
            "Mgmt_Permit_Joining to all routers", 0x0036, .stranger, .hub, "00 01",
            to: .routers),
    ]

    private static let unsupported = [
        ZDOCase("User_Desc", 0x0011, .stranger, .device, "DEV", "84"),
        ZDOCase("Bind", 0x0021, .hub, .device, "DEV64 01 1900 03 HUB64 01", "84"),
        ZDOCase("Mgmt_Lqi", 0x0031, .stranger, .hub, "00", "84"),
        ZDOCase("a cluster of nobody's", 0x7FFF, .device, .hub, "", "84"),
        ZDOCase(
            "Mgmt_Lqi to all", 0x0031, .stranger, .hub, "00", drop: .zdoUnexpected,
            to: .receiversOn),
        // Answers to what was not asked.
        ZDOCase(
            "NWK_addr_rsp", 0x8000, .stranger, .hub, "00 DEV64 WHO", drop: .zdoUnexpected),
        ZDOCase(
            "IEEE_addr_rsp", 0x8001, .stranger, .device, "00 HUB64 WHO", drop: .zdoUnexpected),
        ZDOCase(
            "Match_Desc_rsp", 0x8006, .hub, .device, "00 HUB 01 01", drop: .zdoUnexpected),
    ]

    /// Each request with bytes missing: neither answered nor obeyed.
    private static let malformed = [
        (0x0000, ["", "HUB", "HUB64", "HUB64 00"]),
        (0x0001, ["", "00", "HUB", "HUB 00"]),
        (0x0002, ["", "00"]),
        (0x0003, ["", "00"]),
        (0x0004, ["", "00", "HUB"]),
        (0x0005, ["", "00"]),
        (
            0x0006,
            [
                "", "HUB", "HUB 09", "HUB 0901", "HUB 0901 01", "HUB 0901 01 19",
                "HUB 0901 01 1900", "HUB 0901 01 1900 01", "HUB 0901 01 1900 01 19",
                "HUB 0901 FF 1900 00", "HUB 0901 00 FF",
            ]
        ),
        (0x0013, ["", "WHO", "WHO WHO64", "WHO 0102030405060708"]),
        (0x0034, ["", "HUB", "HUB64"]),
        (0x0036, [""]),
    ].flatMap { cluster, requests in
        requests.map {
            ZDOCase(
                "\(cluster) of \($0.isEmpty ? "no bytes" : $0)", UInt16(cluster), .stranger,
                .hub, $0, drop: .zdoMalformed)
        }
    }
}
