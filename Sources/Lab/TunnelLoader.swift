import Devices
import Wire
import Zigbee

/// What hubs and devices may set of their tunnels, under `tunnel`, and a hub of its mail, under
/// `mail`.
enum TunnelLoader {
    static func tunnel<Target>(
        _ tunnel: WritableKeyPath<Target, TunnelSettings>
    ) -> [ProfileSetting<Target>] {
        func duration(
            _ name: String, _ path: WritableKeyPath<TunnelSettings, Interval>
        ) -> ProfileSetting<Target> {
            .duration(name, tunnel.appending(path: path))
        }
        return [
            .number("protocolID", tunnel.appending(path: \.protocolID), in: 0...255),
            .number(
                "manufacturerCode", tunnel.appending(path: \.manufacturerCode), in: 0...0xFFFF),
            .number(
                "transferSize", tunnel.appending(path: \.transferSize), in: 16...1_500,
                unit: "bytes"),
            .number("closeTimeout", tunnel.appending(path: \.closeTimeout), in: 1...0xFFFF),
            duration("afterJoining", \.afterJoining),
            duration("responseTimeout", \.responseTimeout),
            duration("retry", \.retry),
            duration("reopen", \.reopen),
            duration("announce", \.announce),
            .number("queueMessages", tunnel.appending(path: \.queueMessages), in: 1...64),
            duration("deliveryTime", \.deliveryTime),
            .number(
                "flagsAttribute", tunnel.appending(path: \.flagsAttribute), in: 0...0xFFFF),
        ]
    }

    static var mail: [ProfileSetting<HubProfile>] {
        [
            .duration("holdTime", \.mail.holdTime),
            .size("queueBytes", \.mail.queueBytes, in: 2_048...(1 << 20)),
            .number("interfaceEndpoint", \.mail.interfaceEndpoint, in: 1...240),
            .number("interfaceDevice", \.mail.interfaceDevice, in: 0...0xFFFF).preset("0x0500"),
            .number("mirrorEndpoint", \.mail.mirrorEndpoint, in: 1...240),
            .number("mirrorDevice", \.mail.mirrorDevice, in: 0...0xFFFF).preset("0x0501"),
        ]
    }
}
