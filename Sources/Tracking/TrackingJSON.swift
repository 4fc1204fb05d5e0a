import DCC
import Wire

// Times are written `2026-03-04T05:06:07Z`, versions `0x01050200`, bytes as hex; what is not known
// is left out.

extension RequestRow: Encodable {
    private enum Key: String, CodingKey {
        case request, user, variant, version, image, manufacturer, model, type, code, accepted
        case refused, status, processing, done, underWay, failed, received, receivedWall, updated
        case updatedWall, reported, reportedWall, reportedDevices, devices
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(id, forKey: .request)
        try fields.encode(user, forKey: .user)
        try fields.encode(variant, forKey: .variant)
        try fields.encodeIfPresent(
            fileVersion.map(TrackingCSV.version) ?? version, forKey: .version)
        try fields.encodeIfPresent(image, forKey: .image)
        try fields.encodeIfPresent(manufacturer, forKey: .manufacturer)
        try fields.encodeIfPresent(model, forKey: .model)
        try fields.encodeIfPresent(type, forKey: .type)
        try fields.encode(code.rawValue, forKey: .code)
        try fields.encode(accepted, forKey: .accepted)
        try fields.encode(refused, forKey: .refused)
        try fields.encode(status, forKey: .status)
        try fields.encode(processing, forKey: .processing)
        let outcomes = counts.outcomes
        try fields.encode(outcomes[.done] ?? 0, forKey: .done)
        try fields.encode(outcomes[.underWay] ?? 0, forKey: .underWay)
        try fields.encode(outcomes[.failed] ?? 0, forKey: .failed)
        try fields.encode(received, as: .received, wall: receivedWall, as: .receivedWall)
        try fields.encode(updated, as: .updated, wall: updatedWall, as: .updatedWall)
        try fields.encodeIfPresent(reported, as: .reported, wall: reportedWall, as: .reportedWall)
        try fields.encode(reportedDevices, forKey: .reportedDevices)
        try fields.encode(counts.named, forKey: .devices)
    }
}

extension TargetRow: Encodable {
    private enum Key: String, CodingKey {
        case request, user, variant, device, hub, type, manufacturer, model, fromVersion, toVersion
        case status, outcome, percent, detail, updated, updatedWall, reported, reportedWall
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(request, forKey: .request)
        try fields.encode(user, forKey: .user)
        try fields.encode(variant, forKey: .variant)
        try fields.encode(device, forKey: .device)
        try fields.encodeIfPresent(hub, forKey: .hub)
        try fields.encodeIfPresent(type, forKey: .type)
        try fields.encodeIfPresent(manufacturer, forKey: .manufacturer)
        try fields.encodeIfPresent(model, forKey: .model)
        try fields.encodeIfPresent(fromVersion.map(TrackingCSV.version), forKey: .fromVersion)
        try fields.encodeIfPresent(toVersion.map(TrackingCSV.version), forKey: .toVersion)
        try fields.encode(status, forKey: .status)
        try fields.encode(status.outcome, forKey: .outcome)
        try fields.encodeIfPresent(percent, forKey: .percent)
        try fields.encode(detail, forKey: .detail)
        try fields.encode(updated, as: .updated, wall: updatedWall, as: .updatedWall)
        try fields.encodeIfPresent(reported, as: .reported, wall: reportedWall, as: .reportedWall)
    }
}

extension HopRow: Encodable {
    private enum Key: String, CodingKey {
        case request, device, status, percent, detail, message, notice, time, wall
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encodeIfPresent(request, forKey: .request)
        try fields.encodeIfPresent(device, forKey: .device)
        try fields.encode(status, forKey: .status)
        try fields.encodeIfPresent(percent, forKey: .percent)
        try fields.encode(detail, forKey: .detail)
        try fields.encodeIfPresent(message.map { Hex.string($0) }, forKey: .message)
        try fields.encodeIfPresent(notice, forKey: .notice)
        try fields.encode(time, as: .time, wall: wall, as: .wall)
    }
}

extension TrackingCounts: Encodable {
    private enum Key: String, CodingKey { case requests, devices, reported }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(requests.named, forKey: .requests)
        try fields.encode(devices.named, forKey: .devices)
        try fields.encode(reported.named, forKey: .reported)
    }
}

extension StoredNotice: Encodable {
    private enum Key: String, CodingKey {
        case number, user, summary, request, device, time, wall, state, attempts, tried
    }

    /// All but its bytes.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(number, forKey: .number)
        try fields.encode(user, forKey: .user)
        try fields.encode(summary, forKey: .summary)
        try fields.encodeIfPresent(request, forKey: .request)
        try fields.encodeIfPresent(device, forKey: .device)
        try fields.encode(time, as: .time, wall: wall, as: .wall)
        try fields.encode(state, forKey: .state)
        try fields.encode(attempts, forKey: .attempts)
        try fields.encodeIfPresent(tried.map { iso8601(wall: $0) }, forKey: .tried)
    }
}

extension KeyedEncodingContainer {
    /// A moment by both clocks.
    fileprivate mutating func encode(
        _ time: UTCTime, as key: Key, wall: Double, as wallKey: Key
    ) throws {
        try encode(time.iso8601, forKey: key)
        try encode(iso8601(wall: wall), forKey: wallKey)
    }

    fileprivate mutating func encodeIfPresent(
        _ time: UTCTime?, as key: Key, wall: Double?, as wallKey: Key
    ) throws {
        try encodeIfPresent(time?.iso8601, forKey: key)
        try encodeIfPresent(wall.map { iso8601(wall: $0) }, forKey: wallKey)
    }
}

extension [TrackingStatus: Int] {
    fileprivate var named: [String: Int] {
        [String: Int](uniqueKeysWithValues: map { ($0.key.rawValue, $0.value) })
    }
}
