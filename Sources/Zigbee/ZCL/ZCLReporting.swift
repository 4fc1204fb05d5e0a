import Wire

/// Configure Reporting and Read Reporting Configuration (ZCL 2.5.7, 2.5.9) where no attribute is
/// reportable: the layout is read to its end, and each record gets its reason.
extension ZCLGeneral {
    private static func status(
        _ identifier: UInt16, _ attributes: (UInt16) -> ZCLAttribute?
    ) -> ZCLStatus {
        attributes(identifier) == nil ? .unsupportedAttribute : .unreportableAttribute
    }

    /// Records of {direction u8, attribute u16}, and then, with direction 0, {data type u8,
    /// minimum interval u16, maximum interval u16, for analog types the reportable change}, with
    /// direction 1 {timeout u16}.
    static func answerConfigure(
        _ zcl: ZCLMessage, _ attributes: (UInt16) -> ZCLAttribute?
    ) throws(WireError) -> FrameBuffer {
        var frame = begin(zcl, ZCLFoundation.configureReportingResponse)
        var reader = ByteReader(zcl.body)
        repeat {
            let direction = try reader.u8("direction")
            let identifier = try reader.u16("attribute")
            var status = status(identifier, attributes)
            switch direction {
            case 0:
                let type = ZCLType(rawValue: try reader.u8("data type"))
                _ = try reader.take(4, "intervals")
                if type.isAnalog, let length = type.length {
                    _ = try reader.take(length, "reportable change")
                }
                if let attribute = attributes(identifier), attribute.type != type {
                    status = .invalidDataType
                }
            case 1: _ = try reader.take(2, "timeout")
            default: throw WireError(.invalid, "direction", at: reader.offset - 3)
            }
            // What does not fit is left out, as in a Read Attributes Response.
            guard frame.count + 4 <= frameLimit else { continue }
            frame.append(status.rawValue)
            frame.append(direction)
            frame.append(identifier)
        } while reader.remaining > 0
        return frame
    }

    /// Records of {direction u8, attribute u16}.
    static func answerReadConfiguration(
        _ zcl: ZCLMessage, _ attributes: (UInt16) -> ZCLAttribute?
    ) throws(WireError) -> FrameBuffer {
        var frame = begin(zcl, ZCLFoundation.readReportingConfigurationResponse)
        var reader = ByteReader(zcl.body)
        repeat {
            let direction = try reader.u8("direction")
            guard direction <= 1 else {
                throw WireError(.invalid, "direction", at: reader.offset - 1)
            }
            let identifier = try reader.u16("attribute")
            guard frame.count + 4 <= frameLimit else { continue }
            frame.append(status(identifier, attributes).rawValue)
            frame.append(direction)
            frame.append(identifier)
        } while reader.remaining > 0
        return frame
    }
}
