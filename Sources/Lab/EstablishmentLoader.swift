import Wire
import Zigbee

/// Settings of key establishment, which devices and hubs have in common.
enum EstablishmentLoader {
    static func common<Profile>(
        _ path: WritableKeyPath<Profile, KeyEstablishmentSettings>
    ) -> [ProfileSetting<Profile>] {
        [
            .number(
                "ephemeralDataTime", path.appending(path: \.ephemeralDataTime), in: 0...254,
                unit: "s"),
            .number(
                "confirmKeyTime", path.appending(path: \.confirmKeyTime), in: 0...254, unit: "s"),
            .duration("margin", path.appending(path: \.margin)),
            .number("waitTime", path.appending(path: \.waitTime), in: 0...254, unit: "s"),
        ]
    }
}
