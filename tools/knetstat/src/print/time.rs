// SPDX-License-Identifier: GPL-2.0

//! Times as text.

use jiff::tz::{Offset, TimeZone};
use jiff::ZonedDateTime;

/// A time in the format of RFC 3339, with milliseconds. Its offsets have no seconds, so one that
/// has some is rounded to minutes; the instant remains.
pub fn rfc3339(time: &ZonedDateTime) -> String {
    let seconds = (time.offset().seconds() + 30).div_euclid(60) * 60;
    let offset = Offset::from_seconds(seconds).unwrap_or(Offset::UTC);
    let time = ZonedDateTime::new(time.timestamp(), TimeZone::fixed(offset));
    time.strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn offsets_have_no_seconds() {
        let instant = Timestamp::from_millisecond(1_000_000_000_123).unwrap();
        for (seconds, expected) in [
            (0, "2001-09-09T01:46:40.123+00:00"),
            (5400, "2001-09-09T03:16:40.123+01:30"),
            (-3600, "2001-09-09T00:46:40.123-01:00"),
            // Amsterdam until 1937.
            (1172, "2001-09-09T02:06:40.123+00:20"),
            (-1172, "2001-09-09T01:26:40.123-00:20"),
        ] {
            let zone = TimeZone::fixed(Offset::from_seconds(seconds).unwrap());
            let text = rfc3339(&ZonedDateTime::new(instant, zone));
            assert_eq!(text, expected);
            assert_eq!(text.parse::<Timestamp>().unwrap(), instant);
        }
    }
}
